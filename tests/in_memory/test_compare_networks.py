"""The front door for networks and arrays: what goes where, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from stitchpipe.algebra import RowsError
from stitchpipe.capture import CaptureError, paired_activations
from stitchpipe.graph import LayerError
from stitchpipe.in_memory import compare, compare_arrays
from stitchpipe.models import build

LAYERS = ["layer1.0", "layer2.0"]


@pytest.fixture(scope="module")
def networks():
    options = {"in_channels": 1, "blocks": [1, 1, 1], "widths": [4, 6, 8]}
    return [build("cifar_resnet", options, seed=seed) for seed in (0, 1)]


def batches(seed, count=48):
    images = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return list(images.split(20))


def by_hand(networks, images):
    named = dict(zip("ab", networks, strict=True))
    found = paired_activations(named, images, dict.fromkeys(named, LAYERS))
    return {f"{name}/{layer}": values for name, part in found.items() for layer, values in part.items()}


def test_networks_are_compared_as_the_arrays_of_their_layers(networks):
    images = batches(0)
    options = {"indices": ["cka", "dm_r2"], "view": "flatten"}
    found = compare(*networks, images, layers=LAYERS, **options)
    pd.testing.assert_frame_equal(found, compare_arrays(by_hand(networks, images), **options))


def test_maps_are_fitted_on_other_images_where_there_are_any(networks):
    images, others = batches(0), batches(1, 60)
    found = compare(*networks, iter(images), layers=LAYERS, indices=["dm_r2"], fit=iter(others))
    expected = compare_arrays(
        by_hand(networks, images), indices=["dm_r2"], view="pooled", fit=by_hand(networks, others)
    )
    pd.testing.assert_frame_equal(found, expected)
    assert set(found["fit"]) == {"held_out"}
    assert set(found["n_samples"]) == {48}


def test_what_can_be_compared_is_said(networks):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    for wrong in ((rows,), (), (rows, rows, rows), (*networks, batches(0), batches(1)), ([],)):
        with pytest.raises(RowsError, match="two, a list, or a mapping from names"):
            compare(*wrong)
    with pytest.raises(RowsError, match="compare: .*found DataFrame"):
        compare(pd.DataFrame(rows))


def test_layers_are_the_blocks_unless_named_and_may_differ(networks):
    images = batches(0)
    whole = compare(*networks, images, indices=["cka"])
    assert whole["source"].unique().tolist() == [f"{s}/layer{k}.0" for s in "ab" for k in (1, 2, 3)]
    chosen = compare(*networks, images, layers={"a": ["layer1.0"], "b": "cuts:2"}, indices=["cka"])
    names = chosen["source"].unique().tolist()
    assert names[0] == "a/layer1.0"
    assert len(names) == 3
    with pytest.raises(RowsError, match="under 'a' and 'b'"):
        compare(*networks, images, layers={"a": ["layer1.0"]})
    with pytest.raises(LayerError, match="layer1"):
        compare(*networks, images, layers={"a": ["layer1.0"], "b": ["layr1.0"]})


def test_batches_may_be_tuples_and_named_fields(networks):
    images, options = batches(0), {"layers": ["layer1.0"], "indices": ["cka"]}
    expected = compare(*networks, images, **options)
    for wrapped in (
        [(batch, torch.zeros(len(batch))) for batch in images],
        [[torch.zeros(len(batch)), batch][::-1] for batch in images],
        [{"label": torch.zeros(len(batch)), "pixel_values": batch} for batch in images],
        [{"label": torch.zeros(len(batch)), "picture": batch} for batch in images],
    ):
        pd.testing.assert_frame_equal(compare(*networks, wrapped, **options), expected)
    with pytest.raises(CaptureError, match="found a mapping with label"):
        compare(*networks, [{"label": torch.zeros(3)}], **options)
    with pytest.raises(CaptureError, match="found a str"):
        compare(*networks, ["x"], **options)


def test_agreement_is_between_the_networks_logits(networks):
    images = batches(0)
    frame = compare(*networks, images, layers=["layer1.0"], indices=["rsa", "agreement"], permutations=19)
    agreement = frame[frame["index"] == "agreement"]
    assert agreement["source"].unique().tolist() == ["a/logits", "b/logits"]
    with torch.no_grad():
        answers = [torch.cat([network(batch) for batch in images]).argmax(1) for network in networks]
    row = agreement[(agreement["source"] == "a/logits") & (agreement["target"] == "b/logits")]
    assert row["value"].item() == (answers[0] == answers[1]).double().mean().item()
    assert len(frame[frame["index"] == "rsa"]) == 4


def test_no_images_are_one_message(networks):
    with pytest.raises(RowsError, match="images: .*found an empty loader"):
        compare(*networks, [], layers=LAYERS)
    with pytest.raises(RowsError, match="fit: .*found an empty loader"):
        compare(*networks, batches(0), layers=LAYERS, fit=[])
    with pytest.raises(LayerError, match="layer1"):
        compare(*networks, batches(0), layers=["layr1.0"])
