"""A pair's numbers are its own: alone, in a grown zoo, beside layers that failed, in any cut of the work."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stitchpipe.engine import Comparison, Pairs
from stitchpipe.engine.planning import chunks
from tests.engine.conftest import written
from tests.engine.tasks import formed, records_of

INDICES = ("cka", "cka_biased", "procrustes", "cca", "svcca", "pwcca", "gulp", "ridge_cca", "dm_r2")
PAIR = (0, 1)
CLOSE = 1e-12


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A store with eight related layers of three widths, a constant one, and one with a dead channel."""
    widths = (6, 9, 6, 9, 12, 6, 9, 6)
    splits = {}
    for split, n in (("train", 130), ("test", 110)):
        rng = np.random.default_rng(n)
        hidden = rng.normal(size=(n, 5))
        layers = {
            f"layer{number}": hidden @ np.random.default_rng(number).normal(size=(5, width))
            + rng.normal(size=(n, width))
            for number, width in enumerate(widths)
        }
        layers["constant"] = np.full((n, 6), 2.5)
        layers["dead"] = layers["layer1"].copy()
        layers["dead"][:, 3] = 0.0
        splits[split] = {name: rows.astype(np.float32) for name, rows in layers.items()}
    return written(tmp_path_factory.mktemp("zoo") / "store.zarr", splits, row_groups=6)


def indices_under(view):
    """Return the indices that a view may have: debiased CKA takes rows for independent."""
    return INDICES[view == "positions" :]


def numbers(zoo, folder, pairs, view="pooled"):
    """Return (pair, index) → number for some pairs, with intervals."""
    asked = Comparison(
        zoo.layers, zoo.splits, {view: Pairs.of(pairs)}, {view: indices_under(view)}, intervals=True
    )
    work = formed(asked, zoo.resources(folder))
    return {(record.pair, record.index): record.number for record in records_of(work)}


def demand_same(found, expected, pairs, view="pooled"):
    for pair, index in itertools.product(pairs, indices_under(view)):
        # GULP of a layer with itself is the root of a rounding error.
        near = 1e-6 if index == "gulp" and pair[0] == pair[1] else CLOSE
        mine, theirs = found[pair, index], expected[pair, index]
        assert (mine.status, mine.reason) == (theirs.status, theirs.reason), (pair, index)
        if theirs.value is not None:
            assert mine.value == pytest.approx(theirs.value, rel=CLOSE, abs=near), (pair, index)
            for end in ("low", "high"):
                assert mine.extras[end] == pytest.approx(theirs.extras[end], rel=1e-9, abs=1000 * near), (
                    pair,
                    index,
                )


@pytest.mark.parametrize("view", ["pooled", "positions"])
def test_a_pair_is_the_same_alone_in_a_zoo_and_beside_layers_that_failed(zoo, tmp_path, view):
    everything = list(itertools.product(range(len(zoo.layers)), repeat=2))
    whole = numbers(zoo, tmp_path / "whole", everything, view)
    both = [PAIR, PAIR[::-1]]
    alone = numbers(zoo, tmp_path / "alone", both, view)
    demand_same(whole, alone, both, view)
    failed = numbers(zoo, tmp_path / "failed", [*both, (8, 0), (0, 8), (1, 8), (9, 0), (8, 8)], view)
    demand_same(failed, alone, both, view)
    assert failed[(8, 0), "cka_biased"].status == "constant"
    # One direction alone: the product is then formed for it and for nothing else.
    demand_same(numbers(zoo, tmp_path / "one", [PAIR], view), alone, [PAIR], view)


@pytest.mark.parametrize("flops", [1.0, 3e7])
def test_how_pairs_are_cut_into_tasks_changes_no_number(zoo, tmp_path, monkeypatch, flops):
    everything = list(itertools.product(range(len(zoo.layers)), repeat=2))
    whole = numbers(zoo, tmp_path / "whole", everything)
    monkeypatch.setattr(chunks, "CHUNK_FLOPS", flops)
    monkeypatch.setattr(chunks, "SHARING_LAYERS", 1)
    demand_same(numbers(zoo, tmp_path / "cut", everything), whole, everything)
