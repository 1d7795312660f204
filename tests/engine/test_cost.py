"""What a plan says of disk and time: held against the files that leaves leave, and tried on little."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe.engine import Comparison, rehearsed
from stitchpipe.engine.moments.kept_leaves import KeptLeaves
from stitchpipe.engine.moments.pass_tasks import read_leaf, read_shifts
from stitchpipe.engine.rehearsal.finalising import pairs_by_size
from tests.engine.conftest import all_pairs, written

SHAPES = {"a": (48, 2, 2), "b": (32, 4, 4), "c": (40, 2, 2)}


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    rng = np.random.default_rng(0)
    splits = {
        split: {name: rng.standard_normal((n, *shape)).astype("float16") for name, shape in SHAPES.items()}
        for split, n in (("train", 240), ("test", 160))
    }
    return written(tmp_path_factory.mktemp("cost") / "store.zarr", splits, row_groups=4)


@pytest.mark.parametrize("views", [("pooled",), ("positions",), ("flatten", "positions")], ids="+".join)
def test_leaves_take_what_the_plan_says(some, tmp_path, views):
    plan = some.plan({view: all_pairs(some.layers) for view in views})
    resources, of_leaves = some.resources(tmp_path / "summaries"), 0
    for split, shape in enumerate(plan.splits):
        leaves = KeptLeaves.of(resources, plan, 0, split)
        read_shifts(leaves)
        before = _bytes_under(tmp_path)
        for leaf in range(len(shape.leaves())):
            read_leaf(leaves, leaf)
        of_leaves += _bytes_under(tmp_path) - before
    assert of_leaves == pytest.approx(plan.cost.temporary_bytes, rel=0.02)


def _bytes_under(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_pairs_are_counted_by_size(some):
    plan = some.plan({"pooled": all_pairs(some.layers), "positions": all_pairs(some.layers)})
    found = pairs_by_size(plan)
    assert {view: sum(sizes.values()) for view, sizes in found.items()} == {"pooled": 9, "positions": 9}
    sides = {a: b for a, b in found["pooled"].items() if a < 33 or a > 47}
    assert [*sides] == pytest.approx([32, 48])
    assert [*sides.values()] == [1, 1]


def test_a_comparison_under_all_views_is_rehearsed(some):
    pairs = all_pairs(some.layers)
    comparison = Comparison(
        some.layers,
        some.splits,
        {"pooled": pairs, "positions": pairs},
        {"pooled": ("cka", "dm_r2"), "positions": ("cca",)},
        intervals=True,
        permutations=60,
    )
    plan = comparison.plan(memory_limit_bytes=2**30)
    seconds = rehearsed(comparison, plan)
    assert min(seconds.reading, seconds.products, seconds.finalisation, seconds.images) > 0
    assert comparison.least_bytes_read(plan, memory_limit_bytes=2**30) == plan.cost.bytes_read
