"""Leaves on disk: formed once, formed anew where they are torn, and what intervals make of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stitchpipe.algebra import evaluate
from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.certainty import jackknife
from stitchpipe.algebra.moments import PairMoments
from stitchpipe.engine import MomentComparison, Pairs
from stitchpipe.engine.keys import pass_key
from stitchpipe.registry import index_measure
from stitchpipe.rows import result_grid, to_rows
from storage import Representation
from tests.engine.conftest import SHAPES, all_pairs, build
from tests.engine.tasks import form, records_of

INDICES = ("cka_biased", "procrustes", "dm_r2")


@pytest.fixture
def reads(monkeypatch):
    """The layers of which blocks are read."""
    seen = []
    original = Representation.blocks

    def noted(self, *arguments, **options):
        seen.append(self.address.layer)
        return original(self, *arguments, **options)

    monkeypatch.setattr(Representation, "blocks", noted)
    return seen


def finished(plan, resources, *, intervals=False):
    comparison = MomentComparison(resources, plan, {"positions": INDICES}, {}, intervals)
    return records_of(comparison)


def test_leaves_that_are_there_are_not_formed_again(synthetic, tmp_path, reads):
    plan, resources = synthetic.plan(), synthetic.resources(tmp_path)
    form(plan, resources)
    groups = sum(len(split.row_groups) for split in plan.splits)
    assert len(reads) == groups * len(plan.passes[0].layers)
    reads.clear()
    form(plan, resources)
    assert reads == []


DAMAGES = {
    "cut": lambda data: data[:100],
    "cut behind its header": lambda data: data[:-8],
    "zeros behind its header": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "gone": lambda data: None,
}
"""What a power cut makes of a file that nobody waited for."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_torn_leaf_is_formed_anew_alone_and_no_bit_tells(synthetic, tmp_path, reads, damage):
    plan, resources = synthetic.plan(), synthetic.resources(tmp_path)
    _, on_test = form(plan, resources)
    before = finished(plan, resources)
    torn = on_test.names[1 + 2]  # behind the shifts
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.name.startswith(torn)]
    data = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    reads.clear()
    form(plan, resources)
    groups = len(plan.splits[1].leaves()[2])
    assert len(reads) == groups * len(plan.passes[0].layers)
    assert finished(plan, resources) == before


def test_a_new_layer_has_leaves_of_its_own_and_only_its_pairs(synthetic):
    pairs = all_pairs(synthetic.layers)
    newest = len(synthetic.layers) - 1
    new = Pairs.of(pair for pair in pairs if newest in pair)
    plan = synthetic.plan({"positions": new})
    formed_pairs = {
        pair for one in plan.passes for chunk in one.chunks for pair in map(tuple, chunk.pairs.tolist())
    }
    assert formed_pairs == new
    assert plan.cost.flops < synthetic.plan().cost.flops
    assert pass_key(plan, 0) != pass_key(synthetic.plan(), 0)


def by_hand(synthetic, pair, left_out=None):
    """Return the values of all indices of a pair from rows in memory, without the samples of one leaf."""
    source, target = (synthetic.layers[index].layer for index in pair)
    grid = result_grid("positions", SHAPES[target])
    moments = []
    for split in ("train", "test"):
        keep = np.ones(len(synthetic.blocks[split, source]), bool)
        if left_out is not None and split == "test":
            keep[left_out] = False
        moments.append(
            PairMoments.from_rows(
                *(
                    to_rows(synthetic.blocks[split, name][keep], "positions", grid)
                    for name in (source, target)
                )
            )
        )
    analysis = Analysis(moments[1], moments[0], (2**-23, 2**-23))
    return {name: evaluate(name, analysis).value for name in INDICES}


def test_intervals_are_those_of_leaving_out_each_leafs_rows(tmp_path):
    synthetic = build(tmp_path / "store.zarr", row_groups=7)
    wanted = [(0, 1), (1, 0), (0, 4)]
    plan = synthetic.plan({"positions": Pairs.of(wanted)})
    resources = synthetic.resources(tmp_path / "summaries")
    form(plan, resources)
    numbers = {(found.pair, found.index): found.number for found in finished(plan, resources, intervals=True)}
    split = plan.splits[-1]
    bounds = [(split.row_groups[leaf[0]][0], split.row_groups[leaf[-1]][1]) for leaf in split.leaves()]
    for pair, name in itertools.product(wanted, INDICES):
        whole = by_hand(synthetic, pair)[name]
        without = [by_hand(synthetic, pair, slice(*one))[name] for one in bounds]
        expected = jackknife(
            whole,
            without,
            [stop - start for start, stop in bounds],
            about=index_measure(name).interval,
        )
        number = numbers[pair, name]
        assert number.value == pytest.approx(whole, rel=1e-9, abs=1e-10)
        assert number.extras["low"] == pytest.approx(float(expected.low), rel=1e-7, abs=1e-8)
        assert number.extras["high"] == pytest.approx(float(expected.high), rel=1e-7, abs=1e-8)
