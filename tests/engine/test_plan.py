"""The plan: every pair in one chunk, within memory, what it projects, and what it refuses."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.engine import Pairs, PlanError, SplitShape
from stitchpipe.engine.planning.chunk_memory import Evaluation
from stitchpipe.engine.planning.memory import WORKER_BYTES
from stitchpipe.engine.planning.plan import make_plan
from stitchpipe.engine.planning.shapes import LEAVES
from stitchpipe.engine.planning.tiles import comparable, native_grid
from stitchpipe.rows import rows_per_sample
from tests.engine.conftest import SPLIT, all_pairs, layers_of
from tests.engine.test_tiles import products_of, wishes


def planned(layers, wanted, limit=2**31, **options):
    return make_plan(layers, wanted, splits=[SPLIT], memory_limit_bytes=limit, **options)


@given(wish=wishes(), room=st.integers(12, 24))
def test_every_pair_is_in_one_chunk_within_memory(wish, room):
    layers, wanted = wish
    limit = WORKER_BYTES + 2**room
    try:
        plan = planned(layers, wanted, limit)
    except PlanError:
        plan = planned(layers, wanted)
        assert plan.cost.peak_bytes > limit
        return
    found: Counter[tuple[str, tuple[int, int]]] = Counter()
    for work in plan.passes:
        for chunk in work.chunks:
            tile = work.tiles[chunk.tile]
            found.update((tile.view, pair) for pair in map(tuple, chunk.pairs.tolist()))
            served = set().union(*products_of(tile))
            for pair in map(tuple, chunk.pairs.tolist()):
                assert pair in served
                assert set(pair) <= {*chunk.sources, *chunk.targets}
            assert set(chunk.targets) <= set(tile.targets)
            assert set(chunk.sources) <= set(tile.sources)
    expected = {(view, pair) for view, pairs in wanted.items() for pair in comparable(layers, view, pairs)}
    assert found == dict.fromkeys(expected, 1)
    assert plan.cost.pairs == len(expected)
    assert plan.cost.peak_bytes <= limit


@given(wish=wishes(), room=st.integers(14, 24))
def test_a_chunks_layers_lie_side_by_side_in_its_tile(wish, room):
    layers, wanted = wish
    try:
        plan = planned(layers, wanted, WORKER_BYTES + 2**room)
    except PlanError:
        return
    for work in plan.passes:
        for chunk in work.chunks:
            tile = work.tiles[chunk.tile]
            for run, members in ((chunk.sources, tile.sources), (chunk.targets, tile.targets)):
                start = members.index(run[0])
                assert members[start : start + len(run)] == run


@given(wish=wishes(), room=st.integers(14, 24))
def test_what_one_product_takes_lies_side_by_side_in_a_panel(wish, room):
    """Otherwise the rows of a product would have to be copied together for every block."""
    layers, wanted = wish
    try:
        plan = planned(layers, wanted, WORKER_BYTES + 2**room)
    except PlanError:
        return
    for work in plan.passes:
        for space in work.spaces:
            assert len(set(space.operands)) == len(space.operands)


def test_with_memory_every_layer_is_read_once():
    layers = layers_of([(16, 8 >> number, 8 >> number) for number in range(3)])
    plan = planned(layers, {"positions": all_pairs(layers), "pooled": all_pairs(layers)})
    assert len(plan.passes) == 1
    assert plan.cost.bytes_read == SPLIT.n_samples * sum(one.sample_bytes for one in layers)


@given(wish=wishes(), room=st.integers(12, 24))
def test_the_bytes_are_those_of_the_layers_of_each_pass(wish, room):
    layers, wanted = wish
    try:
        plan = planned(layers, wanted, WORKER_BYTES + 2**room)
    except PlanError:
        return
    per_sample = 0
    for work in plan.passes:
        needed = {index for tile in work.tiles for index in (*tile.sources, *tile.targets)}
        assert set(work.layers) == needed
        assert len(work.layers) == len(needed)
        per_sample += sum(layers[index].sample_bytes for index in work.layers)
    assert plan.cost.bytes_read == SPLIT.n_samples * per_sample


def test_the_flops_are_those_of_the_distinct_products():
    layers = layers_of([(4, 4, 4), (6, 4, 4), (5, 2, 2)])
    one = planned(layers, {"positions": Pairs.of({(0, 0)})}).cost.flops
    assert one == SPLIT.n_samples * 16 * 4 * 5
    # (0, 1) and (1, 0) share a product; each side's own products are formed beside it.
    both = planned(layers, {"positions": Pairs.of({(0, 1), (1, 0)})}).cost.flops
    assert both == SPLIT.n_samples * 16 * (2 * 4 * 6 + 4 * 5 + 6 * 7)
    # Everything that crosses two grids is formed on the smaller one; 4×4 numbers of the small layer at home.
    down = planned(layers, {"positions": Pairs.of({(0, 2)})}).cost.flops
    up = planned(layers, {"positions": Pairs.of({(2, 0)})}).cost.flops
    assert down == SPLIT.n_samples * 4 * (2 * 4 * 5 + 4 * 5 + 5 * 6)
    assert up == SPLIT.n_samples * (4 * (2 * 4 * 5 + 5 * 6) + 16 * 4 * 5)
    pooled = planned(layers, {"pooled": all_pairs(layers)}).cost.flops
    assert pooled == SPLIT.n_samples * 18 * 19


@given(wish=wishes())
def test_no_more_is_formed_than_by_pair(wish):
    """Products of a pair alone, at the target's grid, both own moments: what a comparison pair by pair would do."""
    layers, wanted = wish
    alone = sum(
        SPLIT.n_samples
        * rows_per_sample(view, native_grid(layers[pair[1]], view))
        * _flops_of_a_pair(layers, view, pair)
        for view, pairs in wanted.items()
        for pair in comparable(layers, view, pairs)
    )
    assert planned(layers, wanted).cost.flops <= alone


def _flops_of_a_pair(layers, view, pair):
    plan = planned(layers, {view: Pairs.of({pair})})
    p, q = (plan.width(view, index) for index in pair)
    return p * (p + 1) if pair[0] == pair[1] else 2 * p * q + p * (p + 1) + q * (q + 1)


def test_finalisation_counts_once_more_for_each_group_left_out():
    layers = layers_of([(8, 2, 2)])
    once = planned(layers, {"positions": all_pairs(layers)}).cost.finalisation_flops
    again = planned(
        layers, {"positions": all_pairs(layers)}, evaluation=Evaluation(intervals=True)
    ).cost.finalisation_flops
    assert again == once * (1 + len(SPLIT.leaves()))


@given(wish=wishes(), room=st.integers(10, 22), precision=st.sampled_from(["float64", "float32"]))
def test_what_cannot_fit_is_refused_with_the_memory_that_makes_it_fit(wish, room, precision):
    layers, wanted = wish
    limit = WORKER_BYTES + 2**room
    try:
        planned(layers, wanted, limit, precision=precision)
    except PlanError as refused:
        needed = int(re.search(r"at least (\d+)", refused.remedy)[1])
        assert needed > limit
        assert planned(layers, wanted, needed, precision=precision).cost.peak_bytes <= needed
        with pytest.raises(PlanError):
            planned(layers, wanted, needed - 1, precision=precision)


def test_a_refusal_names_the_pair_and_offers_pooling_only_where_that_helps():
    wide = layers_of([(64, 24, 24)])
    with pytest.raises(
        PlanError, match=r"m/layer0 into m/layer0, view 'flatten'.*or compare under the view 'pooled'"
    ):
        planned(wide, {"flatten": all_pairs(wide)}, 2**30)
    planned(wide, {"pooled": all_pairs(wide)}, 2**30)
    vectors = layers_of([(30_000,)])
    for view in ("positions", "flatten", "pooled"):
        with pytest.raises(PlanError) as refused:
            planned(vectors, {view: all_pairs(vectors)}, 2**30)
        assert "pooled'." not in str(refused.value)


@pytest.mark.parametrize("view", ["positions", "pooled"])
def test_memory_decides_how_rows_are_formed_before_it_decides_how_often_they_are_read(view):
    layers = layers_of([(32, 16, 16)] * 4)
    sizes = []
    for limit in (2**31, WORKER_BYTES + 2**22, WORKER_BYTES + 2**21):
        plan = planned(layers, {view: all_pairs(layers)}, limit)
        sizes.append((plan.blocks.samples, plan.blocks.rows))
        assert len(plan.passes) == 1
    assert sizes == sorted(sizes, reverse=True)


@given(count=st.integers(1, 90), width=st.integers(1, 5), short=st.integers(0, 4))
def test_leaves_are_whole_row_groups_in_order_as_even_as_can_be(count, width, short):
    stop = max(count * width - min(short, width - 1), 1)
    groups = tuple((start, min(start + width, stop)) for start in range(0, stop, width))
    split = SplitShape("d", "s", groups)
    leaves = split.leaves()
    assert list(itertools.chain(*leaves)) == list(range(len(groups)))
    sizes = [len(leaf) for leaf in leaves]
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    assert len(leaves) == min(LEAVES, len(groups))
    assert sum(map(split.samples_of, leaves)) == split.n_samples == stop


def test_a_plan_for_nothing_is_empty():
    layers = layers_of([(3, 2, 2), (7,)])
    plan = planned(layers, {"positions": Pairs.of({(0, 1)})})
    assert plan.passes == ()
    assert plan.incomparable == {"positions": Pairs.of({(0, 1)})}
    assert (plan.cost.pairs, plan.cost.bytes_read, plan.cost.flops) == (0, 0, 0)
    assert planned(layers, {}).passes == ()


def test_sizes_of_samples_are_those_stored():
    (layer,) = layers_of([(3, 5, 7)], itemsize=2)
    assert layer.sample_bytes == 2 * prod((3, 5, 7))
