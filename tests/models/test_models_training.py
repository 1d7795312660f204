"""Training on the spot: what it reaches, that a seed fixes it, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stitchpipe.config import TrainingRecipe
from stitchpipe.data import DataError, ImageSplit, load_digits_splits
from stitchpipe.models import TrainingError, accuracy, build, train_classifier, weights_bytes, weights_digest
from stitchpipe.models.varied_images import mirrored, shifted

SMALL = {"blocks": (1, 1), "widths": (4, 8), "in_channels": 1}


@pytest.fixture(scope="module")
def digits():
    return load_digits_splits()


def first(split, count):
    """Return the first `count` images of a split."""
    images = split.batch(range(count))
    return ImageSplit(
        split.dataset,
        split.name,
        lambda positions: images[torch.as_tensor(positions)],
        split.labels[:count],
        split.sample_ids[:count],
        split.class_names,
        "part",
        {},
    )


def trained(split, *, seed=0, build_seed=0, epochs=2, **options):
    network = build("cifar_resnet", SMALL, seed=build_seed)
    recipe = TrainingRecipe(epochs=epochs, seed=seed, **options)
    return network, train_classifier(network, split, recipe)


def test_a_narrow_network_learns_digits_in_a_few_epochs(digits):
    network = build("cifar_resnet", {**SMALL, "widths": (8, 16)}, seed=0)
    assert accuracy(network, digits["test"]) < 0.4
    seen = []
    record = train_classifier(
        network, digits["train"], TrainingRecipe(epochs=6, seed=0), on_epoch=seen.append
    )
    assert accuracy(network, digits["test"]) >= 0.95
    assert seen == [1, 2, 3, 4, 5, 6]
    assert (record.steps, record.threads) == (6 * (1347 // 64), torch.get_num_threads())
    assert record.final_loss == record.curve[-1]["loss"] < 0.5
    assert len(record.curve) == 6
    assert record.curve[0]["accuracy"] < record.curve[-1]["accuracy"] <= 1
    assert not any(module.training for module in network.modules())


def test_the_result_depends_on_the_seeds_alone(digits):
    part = first(digits["train"], 200)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    network, record = trained(part)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, same = trained(part)
    assert weights_digest(again) == weights_digest(network)
    assert same == record
    assert weights_digest(trained(part, seed=1)[0]) != weights_digest(network)
    assert weights_digest(trained(part, build_seed=1)[0]) != weights_digest(network)


def test_dropout_depends_on_the_seed_too(digits):
    part = first(digits["train"], 128)
    digests = []
    for noise in (1, 2):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(), nn.Linear(16, 10))
        torch.manual_seed(noise)
        train_classifier(network, part, TrainingRecipe(epochs=1, seed=3))
        digests.append(weights_digest(network))
    assert digests[0] == digests[1]


def test_fewer_images_than_a_batch_are_one_step_an_epoch(digits):
    _, record = trained(first(digits["train"], 20), epochs=3)
    assert record.steps == 3


def test_a_loss_that_explodes_is_reported(digits):
    with pytest.raises(TrainingError, match=r"epoch \d: expected a finite loss.*Lower the learning rate"):
        trained(first(digits["train"], 640), epochs=3, learning_rate=1e12)


def test_more_classes_than_logits_are_refused(digits):
    network = build("cifar_resnet", {**SMALL, "num_classes": 5}, seed=0)
    with pytest.raises(TrainingError, match=r"at most 5 classes.*found 10 classes.*num_classes"):
        train_classifier(network, digits["train"], TrainingRecipe(epochs=1, seed=0))


def test_shifts_move_images_by_up_to_one_pixel_and_bring_in_zeros():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(200, 2, 4, 5, generator=generator) + 1
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    seen = set()
    for image, moved in zip(padded, shifted(images, generator, most=1), strict=True):
        moves = [
            (y, x) for y in range(3) for x in range(3) if torch.equal(image[:, y : y + 4, x : x + 5], moved)
        ]
        assert len(moves) == 1
        seen.update(moves)
    assert len(seen) == 9


def test_mirror_images_are_half_of_them():
    images = torch.rand(400, 2, 3, 5, generator=torch.Generator().manual_seed(1))
    changed = mirrored(images, torch.Generator().manual_seed(0))
    is_mirrored = [torch.equal(new, old.flip(2)) for new, old in zip(changed, images, strict=True)]
    is_same = [torch.equal(new, old) for new, old in zip(changed, images, strict=True)]
    assert sum(is_mirrored) + sum(is_same) == 400
    assert 150 < sum(is_mirrored) < 250


class Kept:
    """States in memory; a training that keeps its `dies_after`-th ends there, as if killed."""

    def __init__(self, dies_after=None):
        self.states, self._dies_after = [], dies_after

    def save(self, data):
        self.states.append(data)
        if len(self.states) == self._dies_after:
            raise KeyboardInterrupt

    def load(self):
        return self.states[-1] if self.states else None


@pytest.mark.parametrize(
    "changes", [{}, {"optimiser": "adamw", "learning_rate": 1e-3, "flip": True, "shift": 2}]
)
def test_a_killed_training_goes_on_to_the_same_bits(digits, changes):
    part, recipe = first(digits["train"], 256), TrainingRecipe(epochs=4, seed=5, **changes)

    def network():
        torch.manual_seed(0)
        # Dropout draws from torch's own generator, batch normalisation keeps statistics: both are part of the state.
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 12), nn.BatchNorm1d(12), nn.Dropout(0.2), nn.Linear(12, 10)
        )

    whole, killed, resumed = network(), network(), network()
    undisturbed = train_classifier(whole, part, recipe)
    kept = Kept(dies_after=2)
    with pytest.raises(KeyboardInterrupt):
        train_classifier(killed, part, recipe, kept=kept, every_s=0)
    epochs = []
    record = train_classifier(resumed, part, recipe, kept=kept, every_s=1e9, on_epoch=epochs.append)
    assert epochs == [3, 4]
    assert record == undisturbed
    assert weights_digest(resumed) == weights_digest(whole)


def test_bytes_that_are_no_state_are_passed_over(digits):
    part, recipe = first(digits["train"], 64), TrainingRecipe(epochs=1, seed=0)
    kept = Kept()
    for damaged in (b"", b"no safetensors", weights_bytes(build("cifar_resnet", SMALL, seed=0))):
        kept.states = [damaged]
        network = build("cifar_resnet", SMALL, seed=0)
        record = train_classifier(network, part, recipe, kept=kept)
        assert len(record.curve) == 1


def test_accuracy_is_the_share_of_hits_whatever_the_batches(digits):
    part = first(digits["test"], 100)
    network = build("cifar_resnet", SMALL, seed=0)
    with torch.no_grad():
        hits = network(part.batch(range(100))).argmax(1).numpy() == part.labels
    assert 0 < hits.sum() < 100
    assert accuracy(network, part, batch_size=7) == accuracy(network, part, batch_size=100) == np.mean(hits)


def test_images_without_labels_can_neither_train_nor_be_scored(digits):
    bare = replace(digits["test"], labels=None)
    with pytest.raises(DataError, match="expected labels, for training"):
        trained(bare)
    with pytest.raises(DataError, match="expected labels, for an accuracy"):
        accuracy(build("cifar_resnet", SMALL, seed=0), bare)


def test_classes_without_names_are_counted_by_their_labels(digits):
    nameless = replace(digits["test"], class_names=())
    network = build("cifar_resnet", {**SMALL, "num_classes": 5}, seed=0)
    with pytest.raises(TrainingError, match="at most 5 classes.*found 10 classes"):
        train_classifier(network, nameless, TrainingRecipe(epochs=1, seed=0))
