"""Dumps: the store holds what the network computes, whatever happened on the way, or nothing."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from stitchpipe.capture import CaptureError, dump, identity, provenance
from stitchpipe.data import ImageSplit, load_digits_splits
from stitchpipe.graph import LayerError
from stitchpipe.models import build
from storage import Address, ConflictError, NonFiniteError, NotFoundError, RangeError, open_store

LAYERS = ("layer1.0", "layer2.0")
OPTIONS = {"blocks": (1, 1), "widths": (4, 6), "in_channels": 1}
COUNT, GROUPS = 30, 3


def split_of(images, **changes):
    labels = np.arange(len(images)) % 10
    fields = {
        "dataset": "part",
        "name": "test",
        "fetch": lambda positions: images[torch.as_tensor(positions, dtype=torch.long)],
        "labels": labels,
        "sample_ids": tuple(f"id-{number}" for number in range(len(images))),
        "class_names": tuple("0123456789"),
        "digest": "0" * 64,
        "preprocessing": {"scale": "1/16"},
    }
    return ImageSplit(**{**fields, **changes})


@pytest.fixture(scope="module")
def digits():
    return load_digits_splits()["test"].batch(range(COUNT))


@pytest.fixture
def network():
    return build("cifar_resnet", OPTIONS, seed=0)


@pytest.fixture
def store(tmp_path):
    return opened(tmp_path / "store.zarr")


def opened(path, count=COUNT):
    store = open_store(path, mode="a")
    store.add_split(
        "part",
        "test",
        [f"id-{number}" for number in range(count)],
        labels=np.arange(count) % 10,
        class_names=list("0123456789"),
        row_groups=GROUPS,
        provenance={},
    )
    return store


def run(network, images, store, **options):
    settings = {"model": "A", "architecture": "cifar", "layers": LAYERS, "batch_size": 5, **options}
    return dump(network, images if isinstance(images, ImageSplit) else split_of(images), store, **settings)


def stored(store, layer, **options):
    found = store.representation(Address("part", "test", "A", layer), **options)
    return np.concatenate([found.read(number) for number in range(len(found.row_groups))]), found


def test_the_store_holds_every_layer_and_the_logits_of_every_image(network, digits, store):
    record = run(network, digits, store)
    assert (record.layers, record.n_samples, record.row_groups, record.row_groups_written) == (
        LAYERS,
        COUNT,
        GROUPS,
        GROUPS,
    )
    with torch.no_grad():
        stem = F.relu(network.bn1(network.conv1(digits)))
        first = network.layer1(stem)
        expected = {"layer1.0": first, "layer2.0": network.layer2(first), "logits": network(digits)}
    assert {item.address.layer for item in store.representations()} == set(expected)
    for layer, values in expected.items():
        got, found = stored(store, layer)
        assert found.fingerprint == record.fingerprint
        assert got.dtype == np.float32
        in_order = np.empty_like(got)
        in_order[found.split.original_index] = got
        np.testing.assert_allclose(in_order, values.numpy(), rtol=1e-4, atol=1e-5)
        wanted = values.numpy()[found.split.original_index]
        assert [f"id-{k}" for k in found.split.original_index] == list(found.split.sample_ids)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_finished_dump_is_skipped(network, digits, store):
    first = run(network, digits, store)
    again = run(network, digits, store)
    assert again == dataclasses.replace(first, row_groups_written=0)


@pytest.mark.parametrize("stop_at", [0, 2])
def test_an_interrupted_dump_goes_on_and_ends_with_the_same_values(network, digits, tmp_path, stop_at):
    undisturbed, disturbed = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, undisturbed)

    def stop(done, _total):
        if done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(network, digits, disturbed, on_row_group=stop)
    assert disturbed.representations() == []
    progress = []
    record = run(network, digits, disturbed, on_row_group=lambda *numbers: progress.append(numbers))
    assert record.row_groups_written == GROUPS - stop_at
    assert progress == [(done, GROUPS) for done in range(stop_at, GROUPS + 1)]
    for layer in (*LAYERS, "logits"):
        got, one = stored(disturbed, layer)
        expected, other = stored(undisturbed, layer)
        assert np.array_equal(got, expected)
        assert one.digest == other.digest


def test_more_layers_join_a_sealed_dump(network, digits, store):
    first = run(network, digits, store, layers=("layer2.0",))
    before, _ = stored(store, "layer2.0")
    second = run(network, digits, store)
    assert second.fingerprint == first.fingerprint
    assert second.row_groups_written == GROUPS
    assert np.array_equal(stored(store, "layer2.0")[0], before)
    assert stored(store, "layer1.0")[0].shape == (COUNT, 4, 8, 8)


def test_a_network_in_training_mode_is_dumped_in_eval_mode(network, digits, tmp_path):
    one, other = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, one)
    record = run(network.train(), digits, other)
    assert record.fingerprint == stored(one, "logits")[1].fingerprint
    assert np.array_equal(stored(one, "logits")[0], stored(other, "logits")[0])


def test_a_changed_weight_is_another_dump_under_the_same_name(network, digits, store):
    first = run(network, digits, store)
    with torch.no_grad():
        network.linear.bias[0] += 1e-6
    second = run(network, digits, store)
    assert second.fingerprint != first.fingerprint
    assert second.row_groups_written == GROUPS
    old, _ = stored(store, "logits", fingerprint=first.fingerprint)
    new, _ = stored(store, "logits", fingerprint=second.fingerprint)
    assert (old[:, 0] != new[:, 0]).any()
    assert np.array_equal(old[:, 1:], new[:, 1:])


def test_what_makes_the_values_is_identity(network, digits):
    def identity_of(images=None, *, net=network, architecture="cifar", dtype="float32", batch_size=5):
        images = split_of(digits) if images is None else images
        return json.dumps(
            identity(net, architecture, images, dtype=dtype, batch_size=batch_size), sort_keys=True
        )

    changed = build("cifar_resnet", OPTIONS, seed=0)
    changed.bn1.running_mean[0] += 1e-6
    variants = [
        identity_of(),
        identity_of(net=changed),
        identity_of(split_of(digits, digest="1" * 64)),
        identity_of(split_of(digits, preprocessing={"scale": "1/255"})),
        identity_of(architecture="other"),
        identity_of(dtype="float16"),
        identity_of(batch_size=6),
    ]
    assert len(set(variants)) == len(variants)
    assert identity_of(net=build("cifar_resnet", OPTIONS, seed=0)) == variants[0]


def test_provenance_says_what_made_the_values_and_is_no_identity(network, digits, store):
    run(network, digits, store)
    facts = provenance(torch.device("cpu"))
    assert facts["torch"] == torch.__version__
    assert facts["torch_threads"] == str(torch.get_num_threads())
    assert facts["device"] == "cpu"
    assert not set(facts) & set(identity(network, "x", split_of(digits), dtype="float32", batch_size=1))
    assert facts["torch"] in str(stored(store, "logits")[1].provenance)


def test_forward_passes_are_in_full_float32_and_the_settings_come_back(network, digits, store):
    def settings():
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before, seen = settings(), []
    torch.set_float32_matmul_precision("high")
    network.linear.register_forward_hook(lambda *_: seen.append(settings()))
    try:
        run(network, digits, store)
        assert set(seen) == {("highest", False)}
        assert settings() == ("high", before[1])
    finally:
        torch.set_float32_matmul_precision(before[0])
    recorded = str(stored(store, "logits")[1].provenance)
    assert "'float32_matmul_precision': 'highest'" in recorded
    assert "'tf32': 'False'" in recorded


class Noisy(nn.Module):
    """Dropout by a function, which eval() does not reach."""

    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


class Jitter(nn.Module):
    """Noise of a millionth, which is below the tolerance, or of a thousandth, which is not."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x * (1 + self.size * torch.rand_like(x))


def with_layer(layer):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), layer, nn.Flatten(), nn.Linear(144, 3))


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Noisy(), "two forward passes.*Dropout"),
        (Jitter(1e-3), "two forward passes"),
        (nn.BatchNorm2d(4, track_running_stats=False), "other images of the batch.*Batch normalisation"),
    ],
    ids=["dropout", "noise", "batch norm"],
)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_network_that_answers_differently_is_refused_before_anything_is_written(
    digits, store, layer, text, batch_size
):
    with pytest.raises(CaptureError, match=text) as refused:
        run(with_layer(layer), digits, store, layers=("1",), batch_size=batch_size)
    assert refused.value.where == "layer '1'"
    assert store.representations() == []


def test_differences_within_the_tolerance_are_let_through(digits, store):
    assert run(with_layer(Jitter(1e-7)), digits, store, layers=("1",)).row_groups_written == GROUPS


def test_activations_that_are_not_finite_are_refused(digits, store):
    images = digits.clone()
    images[13] = float("nan")
    with pytest.raises(NonFiniteError, match="id-13"):
        run(with_layer(nn.ReLU()), images, store, layers=("1",))
    assert store.representations() == []


def test_activations_beyond_float16_are_refused_not_clipped(network, digits, store):
    with torch.no_grad():
        network.linear.bias[3] = 7e4
    with pytest.raises(RangeError, match="float32"):
        run(network, digits, store, dtype="float16")
    assert store.representations() == []


def test_float16_storage_rounds_the_float32_values(network, digits, tmp_path):
    wide, narrow = opened(tmp_path / "one.zarr"), opened(tmp_path / "two.zarr")
    run(network, digits, wide)
    run(network, digits, narrow, dtype="float16")
    for layer in LAYERS:
        assert np.array_equal(stored(narrow, layer)[0], stored(wide, layer)[0].astype(np.float16))


@pytest.mark.parametrize("change", ["permuted", "fewer", "renamed"])
def test_images_other_than_those_of_the_split_are_refused(network, digits, store, change):
    ids = [f"id-{number}" for number in range(COUNT)]
    if change == "permuted":
        ids[3], ids[4] = ids[4], ids[3]
    elif change == "fewer":
        ids = ids[:-1]
    else:
        ids[20] = "other"
    found = {"permuted": "'id-4' at position 3", "fewer": "29 ids", "renamed": "'other' at position 20"}[
        change
    ]
    images = split_of(digits[: len(ids)], sample_ids=tuple(ids))
    with pytest.raises(CaptureError, match=f"samples that the store holds.*found {found}"):
        run(network, images, store)


def test_a_split_the_store_does_not_know(network, digits, store):
    with pytest.raises(NotFoundError):
        run(network, split_of(digits, name="validation"), store)


def test_an_unknown_layer_is_refused_before_anything_is_written(network, digits, store):
    with pytest.raises(LayerError, match=r"Did you mean .*layer1\.0"):
        run(network, digits, store, layers=("layer1.O",))
    assert store.representations() == []


def test_a_layer_of_another_shape_under_the_same_identity_is_refused(network, digits, store):
    run(network, digits, store)
    larger = F.interpolate(digits, size=(16, 16))
    with pytest.raises(ConflictError):
        run(network, larger, store)
