"""Which pairs share a reading: the designs are what they are said to be, and the one that reads least is taken."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.engine import Pairs, PlanError, SplitShape
from stitchpipe.engine.planning import dealing, designs
from stitchpipe.engine.planning.chunk_memory import MOMENTS_ONLY, LeafCounts
from stitchpipe.engine.planning.dealing import dealings
from stitchpipe.engine.planning.finite_fields import ORDERS, field_of
from stitchpipe.engine.planning.memory import WORKER_BYTES, Held
from stitchpipe.engine.planning.pass_layout import Blocks, pass_of
from stitchpipe.engine.planning.plan import LEAST_ROWS, cutting_of, make_plan
from stitchpipe.engine.planning.tiles import comparable, width
from tests.engine.conftest import SPLIT, all_pairs, layers_of
from tests.engine.test_tiles import wishes

LEAVES = LeafCounts(1, len(SPLIT.leaves()))


def pairs_of(count):
    return np.array(list(itertools.product(range(count), repeat=2)), np.int64)


def layers_by_pass(design, pairs):
    """Return the layers of each pass of a design."""
    found = {}
    for number, pair in zip(design(pairs[:, 0], pairs[:, 1]).tolist(), pairs.tolist(), strict=True):
        found.setdefault(number, set()).update(pair)
    return found


@pytest.mark.parametrize("order", ORDERS)
def test_a_field_is_one(order):
    field, elements = field_of(order), list(range(order))
    for a in elements:
        assert sorted(field.minus[a]) == sorted(field.minus[:, a]) == elements
        assert sorted(field.times[a]) == (elements if a else [0] * order)
    assert np.array_equal(field.times, field.times.T)
    assert np.array_equal(field.times[1], elements)
    assert np.array_equal(field.minus[:, 0], elements)
    a, b, c = np.random.default_rng(order).integers(order, size=(3, 3000))
    assert np.array_equal(
        field.times[a, field.minus[b, c]], field.minus[field.times[a, b], field.times[a, c]]
    )
    assert np.array_equal(field.times[field.times[a, b], c], field.times[a, field.times[b, c]])
    assert np.array_equal(field.minus[field.minus[a, b], c], field.minus[field.minus[a, c], b])
    assert np.array_equal(field.times[field.over[a, b], b], np.where(b == 0, 0, a))


@pytest.mark.parametrize("order", [order for order in ORDERS if order <= 13])
def test_a_plane_is_an_affine_plane(order):
    """q² points on q² + q lines of q points each; two points on one line, each point on q + 1 of them."""
    count = order * order
    design = designs.lines(order, np.arange(count))
    lines = layers_by_pass(design, np.array([p for p in pairs_of(count) if p[0] != p[1]]))
    assert len(lines) == count + order
    assert {len(points) for points in lines.values()} == {order}
    assert set(Counter(itertools.chain(*lines.values())).values()) == {order + 1}
    through = Counter(
        frozenset(two) for points in lines.values() for two in itertools.combinations(points, 2)
    )
    assert len(through) == count * (count - 1) // 2
    assert set(through.values()) == {1}


@pytest.mark.parametrize("order", [3, 4, 7])
def test_both_directions_of_a_pair_and_what_is_within_a_block_lie_on_a_line(order):
    count = 5 * order * order
    block = np.arange(count) % (order * order)
    design, pairs = designs.lines(order, block), pairs_of(count)
    found = design(pairs[:, 0], pairs[:, 1]).reshape(count, count)
    assert np.array_equal(found, found.T)
    lines = layers_by_pass(design, np.array([p for p in pairs if block[p[0]] != block[p[1]]]))
    within = [p for p in pairs if block[p[0]] == block[p[1]]]
    numbers = design(*np.array(within).T)
    for (source, target), number in zip(within, numbers, strict=True):
        assert {source, target} <= lines[number]
    # No line holds the inner pairs of more than one of its blocks.
    inner = {(int(number), int(block[pair[0]])) for number, pair in zip(numbers, within, strict=True)}
    assert max(Counter(number for number, _ in inner).values()) == 1


def test_two_blocks_at_a_time_meet_once():
    count, blocks = 23, 5
    block = np.arange(count) % blocks
    design, pairs = designs.couples(blocks, block), pairs_of(count)
    found = layers_by_pass(design, pairs)
    assert len(found) == blocks * (blocks + 1) // 2
    for layers in found.values():
        assert len({int(block[layer]) for layer in layers}) <= 2
    numbers = design(pairs[:, 0], pairs[:, 1]).reshape(count, count)
    assert np.array_equal(numbers, numbers.T)


def test_a_new_model_is_kept_while_old_ones_pass_by():
    old, new = range(20), (20, 21, 22)
    pairs = np.array([p for p in pairs_of(23) if set(p.tolist()) & set(new)])
    assert designs.hub(Pairs.of(map(tuple, pairs.tolist()))) == frozenset(new)
    part = designs.blocks([1] * 23, list(old), 4)
    part[list(new)] = 0
    found = layers_by_pass(designs.stripes(part), pairs)
    assert len(found) == 4
    assert all(set(new) <= layers for layers in found.values())
    assert Counter(layer for layers in found.values() for layer in layers if layer in old) == dict.fromkeys(
        old, 1
    )


@pytest.mark.parametrize(
    "pairs",
    [
        [(0, 0), (1, 1), (0, 1)],  # all with all
        [(0, 1), (2, 3)],  # nobody with all
        [(0, 0), (0, 1), (0, 2), (1, 2)],  # a pair without the hub
        [(0, 1), (0, 2)],  # not with itself
    ],
)
def test_other_pairs_have_no_hub(pairs):
    assert designs.hub(Pairs.of(pairs)) == frozenset()


@given(weights=st.lists(st.integers(1, 1000), min_size=1, max_size=60), count=st.integers(1, 20))
def test_blocks_are_of_about_equal_weight(weights, count):
    layers = list(range(len(weights)))
    block = designs.blocks(weights, layers, count)
    load = np.bincount(block, weights, minlength=count)
    assert len(load) == count
    assert load.max() - load.min() <= max(weights)


@given(wish=wishes())
def test_every_dealing_holds_every_pair_once_and_says_what_it_reads(wish):
    layers, wanted = wish
    sizes = np.array([layer.sample_bytes for layer in layers])
    widths = {view: np.array([width(layer, view) for layer in layers]) for view in wanted}
    costs = []
    for dealt in dealings(sizes.tolist(), widths[next(iter(wanted))].tolist(), wanted):
        found, reads, products = Counter(), 0, [0]
        for of_pass in dealt.passes():
            found.update((view, pair) for view, pairs in of_pass.items() for pair in pairs)
            reads += sum(sizes[i] for i in {i for pairs in of_pass.values() for pair in pairs for i in pair})
            products.append(
                sum(int(widths[view][list(p)].prod()) for view, pairs in of_pass.items() for p in pairs) / 2
            )
        assert found == {(view, pair): 1 for view, pairs in wanted.items() for pair in pairs}
        assert dealt.bytes_read(sizes) == reads
        assert dealt.least_products(widths) == max(products)
        costs.append(reads)
    assert costs == sorted(costs)


@given(wish=wishes(), room=st.integers(12, 22))
def test_of_the_dealings_that_fit_the_one_that_reads_least_is_taken(wish, room):
    layers, wanted = wish
    possible = {view: comparable(layers, view, of) for view, of in wanted.items()}
    try:
        plan = make_plan(layers, wanted, splits=[SPLIT], memory_limit_bytes=WORKER_BYTES + 2**room)
    except PlanError:
        return
    rows = LEAST_ROWS if plan.blocks.rows >= LEAST_ROWS else 1
    sizes = [layer.sample_bytes for layer in layers]
    widest = [max(width(layer, view) for view in wanted) for layer in layers]
    cutting = cutting_of(layers, possible, [SPLIT], MOMENTS_ONLY, 2**room)
    fitting = [
        dealt.bytes_read(np.array(sizes))
        for dealt in dealings(sizes, widest, possible)
        if all(
            _held(layers, pairs, cutting).peak_bytes(Blocks(1, rows)) <= 2**room for pairs in dealt.passes()
        )
    ]
    assert plan.cost.bytes_read == SPLIT.n_samples * min(fitting)


def _held(layers, pairs, cutting=None):
    return Held.of(layers, pass_of(layers, pairs, cutting), "float64", LEAVES, MOMENTS_ONLY, SPLIT.n_samples)


def test_views_are_read_apart_where_one_pass_cannot_hold_them():
    layers = layers_of([(32, 4, 4)] * 40)
    wanted = dict.fromkeys(("positions", "pooled"), all_pairs(layers))
    many = [
        SplitShape("data", "test", tuple((10**5 * start, 10**5 * stop) for start, stop in SPLIT.row_groups))
    ]  # more than the products of pooled rows are large
    plan = make_plan(layers, wanted, splits=many, memory_limit_bytes=2**30)
    assert [{tile.view for tile in work.tiles} for work in plan.passes] == [{"positions", "pooled"}]
    while len(plan.passes) == 1:
        plan = make_plan(layers, wanted, splits=many, memory_limit_bytes=plan.cost.peak_bytes - 1)
    assert [{tile.view for tile in work.tiles} for work in plan.passes] == [{"positions"}, {"pooled"}]


@pytest.mark.parametrize(("order", "layers_of_a_block"), [(5, 12), (7, 6), (8, 5), (9, 4)])
def test_a_plane_reads_little_more_than_the_bound(order, layers_of_a_block):
    """n·P²/√(2S), with S the numbers that the sums of a pass are (Beaumont et al. 2022)."""
    layers = layers_of([(32,)] * (layers_of_a_block * order**2))
    block = designs.blocks([32] * len(layers), range(len(layers)), order**2)
    pairs = {"positions": Pairs.every(len(layers))}
    dealt = dealing.Dealt(designs.lines(order, block), pairs)
    lines = [pass_of(layers, of_line) for of_line in dealt.passes()]
    held = max(Held.of(layers, line, "float64", LEAVES, MOMENTS_ONLY, SPLIT.n_samples).sums for line in lines)
    columns = 32 * len(layers)
    read = sum(32 * len(line.layers) for line in lines)
    assert read == columns * (order + 1)
    bound = columns**2 / np.sqrt(2 * held / 8)
    print(f"order {order}: {read / bound:.3f} of the bound")
    assert read <= 1.2 * bound


def test_more_memory_is_never_more_reading():
    layers = layers_of([(64, 4, 4)] * 60 + [(32, 8, 8)] * 40)
    everything, reads = {"positions": all_pairs(layers)}, []
    for mebibytes in (8, 12, 16, 24, 32, 64, 256):
        limit = WORKER_BYTES + mebibytes * 2**20
        plan = make_plan(layers, everything, splits=[SPLIT], memory_limit_bytes=limit)
        assert plan.cost.peak_bytes <= limit
        reads.append(plan.cost.bytes_read)
    assert reads == sorted(reads, reverse=True)
    assert len(set(reads)) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [[(256, 8, 8)], [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]])
def test_a_thousand_layers_can_be_planned(shapes):
    layers = layers_of((shapes * 1000)[:1000])
    split = SplitShape("data", "test", ((0, 25_000), (25_000, 50_000)))
    limit = 8 * 2**30
    plan = make_plan(layers, {"positions": all_pairs(layers)}, splits=[split], memory_limit_bytes=limit)
    assert plan.cost.pairs == 10**6
    assert plan.cost.peak_bytes <= limit
