"""Rows of more features than images, held in coordinates: every number is the one of the features themselves."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stitchpipe.engine import Comparison
from tests.engine.conftest import all_pairs, written
from tests.engine.tasks import formed, records_of

INDICES = ("cka", "cka_biased", "procrustes", "cca_sq", "svcca", "gulp", "ridge_cca", "dm_r2", "dm_struct")
"""All of which are the same after a rotation of either side."""
MEMORY = 2**31


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A store with layers of fewer and of more features than all its images, on both splits."""
    splits = {}
    widths = {"narrow": 9, "wide": 150, "wider": 170, "grid": (40, 2, 2)}
    for split, n in (("train", 50), ("test", 40)):
        rng = np.random.default_rng(n)
        hidden = rng.normal(size=(n, 12))
        of_split = {}
        for seed, (name, shape) in enumerate(widths.items()):
            mixing = np.random.default_rng(seed).normal(size=(12, int(np.prod(shape))))
            rows = hidden @ mixing + 0.3 * rng.normal(size=(n, mixing.shape[1])) + 5.0
            of_split[name] = rows.reshape(n, *np.atleast_1d(shape)).astype(np.float32)
        splits[split] = of_split
    return written(tmp_path_factory.mktemp("wide") / "store.zarr", splits, row_groups=8)


def compared(wide, folder, indices, view="pooled", *, intervals=True):
    """Return the plan, and (pair, index) → number of all pairs."""
    pairs = {view: all_pairs(wide.layers)}
    asked = Comparison(wide.layers, wide.splits, pairs, {view: indices}, intervals=intervals)
    work = formed(asked, wide.resources(folder))
    return work.plan, {(record.pair, record.index): record.number for record in records_of(work)}


def test_coordinates_change_no_number_and_no_interval(wide, tmp_path):
    narrow, found = compared(wide, tmp_path / "coordinates", INDICES)
    # An index whose weights are those of neurons keeps the features of all.
    features, expected = compared(wide, tmp_path / "features", (*INDICES, "pwcca"))
    assert narrow.passes[0].coordinates("pooled") == 50 + 40 + 1
    assert features.passes[0].coordinates("pooled") is None
    for pair, index in itertools.product(sorted(all_pairs(wide.layers)), INDICES):
        mine, theirs = found[pair, index], expected[pair, index]
        near = 1e-6 if index == "gulp" else 1e-9  # the root of a rounding error, where a layer meets itself
        assert (mine.status, mine.reason) == (theirs.status, theirs.reason), (pair, index)
        if theirs.value is not None:
            assert mine.value == pytest.approx(theirs.value, rel=1e-9, abs=near), (pair, index)
            assert mine.extras.get("rank") == theirs.extras.get("rank"), (pair, index)
        for end in ("low", "high"):
            if end in theirs.extras:
                assert mine.extras[end] == pytest.approx(theirs.extras[end], rel=1e-6, abs=100 * near), (
                    pair,
                    index,
                )


def test_what_tasks_hold_is_as_narrow_as_the_images_are_few(wide):
    pairs = {"pooled": all_pairs(wide.layers)}
    options = {"memory_limit_bytes": MEMORY}
    few = Comparison(wide.layers, wide.splits, pairs, {"pooled": ("cka", "dm_r2")}).plan(**options)
    neurons = Comparison(wide.layers, wide.splits, pairs, {"pooled": ("pwcca", "dm_r2")}).plan(**options)
    assert few.cost.peak_bytes < neurons.cost.peak_bytes
    assert few.cost.finalisation_flops <= neurons.cost.finalisation_flops
    assert few.passes[0].held_width(few.layers, "pooled", 0) == 10
    assert few.passes[0].held_width(few.layers, "pooled", 1) == 92
