"""What a stitched network is judged on: representations, logits, accuracy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import nn

from stitchpipe.algebra import direct_matching
from stitchpipe.graph import extractor, tail
from stitchpipe.measures import Number
from stitchpipe.models import build
from stitchpipe.rows import to_rows
from stitchpipe.stitching import (
    FIDELITY,
    Answers,
    DivergedError,
    StitchError,
    StitchingLayer,
    accuracy,
    by_class,
    stitched_activations,
    stitched_logits,
)
from stitchpipe.stitching.fidelity.relative_accuracy import relative_accuracy
from tests.stitching.small_stitches import TARGET, Tail, images, labels, stored


def test_blocks_are_the_row_groups_in_stored_order(source):
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    blocks = list(stitched_activations(layer, source))
    assert [len(block) for block in blocks] == [stop - start for start, stop in source.row_groups]
    whole = layer(torch.from_numpy(source.read_rows(slice(None)))).detach().numpy()
    np.testing.assert_allclose(np.concatenate([block.numpy() for block in blocks]), whole, rtol=0, atol=1e-6)
    logits = stitched_logits(Tail(), blocks)
    assert logits.dtype == np.float32
    wanted = Tail().eval()(torch.from_numpy(whole)).detach().numpy()
    np.testing.assert_allclose(logits, wanted, rtol=0, atol=1e-5)


def test_inference_mode_is_not_left_on_between_blocks(source):
    layer = StitchingLayer.identity((3, 6, 6), (3, 6, 6))
    blocks = stitched_activations(layer, source)
    next(blocks)
    assert not torch.is_inference_mode_enabled()


def test_a_tail_that_works_in_place_does_not_change_the_representation(source):
    """As behind a convolution of VGG: what is scored afterwards must still be the layer's own values."""
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    blocks = list(stitched_activations(layer, source))
    before = [block.clone() for block in blocks]
    assert float(before[0].min()) < 0
    stitched_logits(nn.Sequential(nn.ReLU(inplace=True), Tail()), blocks)
    assert all(torch.equal(one, other) for one, other in zip(blocks, before, strict=True))


def test_a_tail_left_in_training_mode_is_judged_in_eval_mode(source):
    layer = StitchingLayer.random((3, 6, 6), TARGET, seed=0)
    blocks = list(stitched_activations(layer, source))
    one = stitched_logits(Tail().train(), blocks)
    assert np.array_equal(one, stitched_logits(Tail().eval(), blocks))


@pytest.mark.parametrize("name", ["layer1.0", "layer2.0", "layer3.0"])
def test_a_layer_stitched_into_itself_gives_the_networks_own_logits(tmp_path, name):
    torch.manual_seed(0)
    network = build(
        "cifar_resnet", {"in_channels": 1, "blocks": [1, 1, 1], "widths": [4, 6, 8]}, seed=0
    ).eval()
    pixels = torch.from_numpy(images((1, 8, 8)))
    outputs = extractor(network, [name])(pixels)
    activations = outputs[name].numpy()
    source = stored(tmp_path / "store.zarr", activations, labels=labels())
    logits = outputs["logits"].numpy()[source.split.original_index]
    rest, shape = tail(network, name), activations.shape[1:]
    rows = to_rows(activations, "positions")
    for layer in (
        StitchingLayer.identity(shape, shape),
        StitchingLayer.from_map(shape, shape, direct_matching(rows, rows)),
    ):
        found = stitched_logits(rest, stitched_activations(layer, source))
        np.testing.assert_allclose(found, logits, rtol=0, atol=1e-4 * np.abs(logits).max())
        native = accuracy(logits, source.split.labels)
        assert relative_accuracy(accuracy(found, source.split.labels), native) == Number(1.0)


def test_accuracy_counts_the_largest_logit_and_the_first_of_equals():
    logits = np.array([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [0.0, -1.0]])
    assert accuracy(logits, np.array([1, 0, 0, 1])) == 0.75
    assert accuracy(logits, np.array([0, 1, 1, 1])) == 0.0


@pytest.mark.parametrize(
    ("logits", "given", "message"),
    [
        (np.zeros((3, 2)), np.zeros(1, dtype=np.int64), "one label per row"),
        (np.zeros((0, 2)), np.zeros(0, dtype=np.int64), "at least one"),
        (np.zeros((2, 2)), np.array([0, 2]), "classes from 0 to 1.*found classes from 0 to 2"),
        (np.zeros((2, 2)), np.array([-1, 1]), "found classes from -1 to 1"),
    ],
)
def test_labels_that_do_not_fit_the_logits_are_refused(logits, given, message):
    with pytest.raises(StitchError, match=message):
        accuracy(logits, given)


def test_relative_accuracy_may_exceed_one_and_needs_a_target_that_works():
    assert relative_accuracy(0.45, 0.9).value == pytest.approx(0.5)
    assert relative_accuracy(1.0, 0.8).value == pytest.approx(1.25)
    assert relative_accuracy(0.5, 0.0).status == "constant"


def test_logits_that_are_not_finite_are_refused_with_their_number(source):
    blocks = [torch.zeros(2, *TARGET), torch.full((1, *TARGET), torch.inf)]
    with pytest.raises(DivergedError, match="1 of 3 samples"):
        stitched_logits(Tail(), blocks)


def test_a_spent_iterator_is_refused():
    with pytest.raises(StitchError, match="at least one block"):
        stitched_logits(Tail(), iter(()))


def fidelity(logits, native, given, names=()):
    """Every measure of some answers: values by name without prefix, and those of classes."""
    answers = Answers(logits, native, given, names)
    values = {name.removeprefix("stitch_"): one.of(answers).value for name, one in FIDELITY.items()}
    return SimpleNamespace(
        **values, by_class={int(name[22:-1]): one for name, one in by_class(answers).items()}
    )


def test_fidelity_is_its_definition():
    rng = np.random.default_rng(0)
    logits, native = rng.normal(size=(2, 60, 4)).astype(np.float32)
    given = rng.integers(0, 3, 60)  # no image of the last class
    found = fidelity(logits, native, given)
    odds, own = (np.exp(one.astype(np.float64)) for one in (logits, native))
    odds, own = odds / odds.sum(axis=1, keepdims=True), own / own.sum(axis=1, keepdims=True)
    hits = [row.argmax() == label for row, label in zip(logits, given, strict=True)]
    assert found.accuracy == np.mean(hits)
    assert found.relative_accuracy == np.mean(hits) / np.mean(native.argmax(axis=1) == given)
    assert found.agreement == np.mean([a.argmax() == b.argmax() for a, b in zip(logits, native, strict=True)])
    assert found.kl == pytest.approx(np.mean([entropy(p, q) for p, q in zip(own, odds, strict=True)]))
    assert set(found.by_class) == {0, 1, 2}
    assert sum(share.value * np.mean(given == one) for one, share in found.by_class.items()) == pytest.approx(
        found.accuracy
    )
    named = fidelity(logits, native, given, ["zero", "one"]).by_class
    assert [named[number].reason for number in range(3)] == ["zero", "one", None]


def test_a_network_agrees_with_itself():
    native = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32) * 30
    found = fidelity(native, native, native.argmax(axis=1))
    assert (found.accuracy, found.relative_accuracy, found.agreement, found.kl) == (1.0, 1.0, 1.0, 0.0)
    shifted = fidelity(native + 7.0, native, native.argmax(axis=1))
    assert shifted.kl == pytest.approx(0.0, abs=1e-6)  # the softmax does not see it


def test_answers_to_other_images_are_refused():
    with pytest.raises(StitchError, match="same images"):
        fidelity(np.zeros((3, 2)), np.zeros((4, 2)), np.array([0, 1, 0]))
