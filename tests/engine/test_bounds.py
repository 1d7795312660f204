"""No plan reads less than the bound, and the designs come as near to it as passes of one size can."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.engine import Pairs
from stitchpipe.engine.planning import dealing, designs
from stitchpipe.engine.planning.bounds import least_bytes_read
from stitchpipe.engine.planning.memory import WORKER_BYTES
from stitchpipe.engine.planning.plan import PlanError, make_plan
from tests.engine.conftest import SPLIT, all_pairs, layers_of

N = SPLIT.n_samples


def test_of_equal_layers_it_is_the_bound_of_a_symmetric_product():
    layers = layers_of([(64, 3, 3)] * 50)
    sums = 10_000
    bound = least_bytes_read(layers, {"positions": all_pairs(layers)}, samples=N, room_bytes=8 * sums)
    columns = 50 * 64
    numbers = (
        N * 9 * columns**2 / np.sqrt(2 * sums)
    )  # nine positions of a column are read for one of its sums
    assert bound == pytest.approx(4 * numbers, rel=1e-4)


def test_layers_of_two_grids_need_two_products_a_pair():
    layers = layers_of([(8, 4, 4), (32, 2, 2)] * 10)  # 512 bytes a sample each
    options = {"samples": 1, "room_bytes": 8 * 50}
    across = Pairs.of((i, j) for i, j in all_pairs(layers) if (i + j) % 2)
    both = least_bytes_read(layers, {"positions": across}, **options)
    one = least_bytes_read(layers, {"positions": Pairs.of(p for p in across if p[0] % 2)}, **options)
    assert both == pytest.approx(np.sqrt(2) * one, rel=1e-3)
    # Beside images nothing is resized, and one product serves both directions.
    pooled = least_bytes_read(layers, {"pooled": across}, **options)
    assert pooled == pytest.approx(np.sqrt(2 / 50) * 100 * 512 * np.sqrt(9 * 33), rel=1e-3)


def test_where_everything_fits_each_layer_is_read_once():
    layers = layers_of([(3, 4, 4), (5, 2, 2), (7,)])
    wanted = {"positions": all_pairs(layers[:2]), "pooled": Pairs.of({(0, 1)})}
    bound = least_bytes_read(layers, wanted, samples=N, room_bytes=2**40)
    assert bound == N * (layers[0].sample_bytes + layers[1].sample_bytes)
    assert least_bytes_read(layers, {}, samples=N, room_bytes=2**20) == 0


shapes = st.one_of(
    st.tuples(st.integers(1, 64), st.sampled_from([2, 4]), st.sampled_from([2, 4])),
    st.tuples(st.integers(1, 64)),
)


@given(data=st.data(), room=st.integers(12, 20))
def test_no_plan_reads_less(data, room):
    layers = layers_of(data.draw(st.lists(shapes, min_size=1, max_size=14)))
    some = st.frozensets(st.sampled_from(sorted(all_pairs(layers))), min_size=1).map(Pairs.of)
    views = data.draw(st.sets(st.sampled_from(["positions", "pooled"]), min_size=1))
    wanted = {view: data.draw(st.one_of(some, st.just(all_pairs(layers)))) for view in sorted(views)}
    try:
        plan = make_plan(layers, wanted, splits=[SPLIT], memory_limit_bytes=WORKER_BYTES + 2**room)
    except PlanError:
        return
    bound = least_bytes_read(layers, wanted, samples=N, room_bytes=2**room)
    assert bound <= plan.cost.bytes_read


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 7, 8, 9, 11])
def test_a_projective_plane_joins_every_two_blocks_once(order):
    points = order**2 + order + 1
    pairs = np.array(list(itertools.product(range(points), repeat=2)))
    numbers = designs.projective_lines(order, np.arange(points))(*pairs.T)
    lines = {}
    for pair, number in zip(pairs.tolist(), numbers.tolist(), strict=True):
        lines.setdefault(number, set()).update(pair)
    assert len(lines) == points
    assert {len(line) for line in lines.values()} == {order + 1}
    assert set(Counter(point for line in lines.values() for point in line).values()) == {order + 1}
    alone = numbers[pairs[:, 0] == pairs[:, 1]]
    assert len(set(alone.tolist())) == points  # pairs within blocks are spread evenly


@pytest.mark.parametrize("order", [1, 2, 3, 5, 8])
def test_no_passes_of_one_size_read_less_than_a_projective_plane(order):
    """t passes that hold P²/2 products together hold at least P²/2t each, and read (1 + √(4t − 3)) / 2 times."""
    passes = order**2 + order + 1
    block = np.arange(passes)
    pairs = {"positions": Pairs.every(passes)}
    dealt = dealing.Dealt(designs.projective_lines(order, block), pairs)
    assert dealt.bytes_read(np.ones(passes, np.int64)) == passes * (1 + np.sqrt(4 * passes - 3)) / 2
    assert dealt.least_products({"positions": np.ones(passes, np.int64)}) == pytest.approx(passes / 2)


def test_three_blocks_two_at_a_time_are_read_twice():
    """Between all pairs at once and the plane of four blocks, where each is read three times."""
    widths, wanted = np.full(48, 64), {"pooled": all_pairs(range(48))}
    room = 0.2 * widths.sum() ** 2  # the line of three holds a sixth of P², two blocks alone a quarter
    ways = dealing.dealings(widths.tolist(), widths.tolist(), wanted)
    dealt = next(way for way in ways if way.least_products({"pooled": widths}) <= room)
    assert len(list(dealt.passes())) == 3
    assert dealt.bytes_read(widths) == 2 * widths.sum()
