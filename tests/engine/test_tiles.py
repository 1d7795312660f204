"""Tiles: every pair's product, each product once, each where there are fewest positions."""

from __future__ import annotations

import itertools
from collections import Counter
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.engine import Pairs
from stitchpipe.engine.planning.pass_layout import operand_of_side, own_operand
from stitchpipe.engine.planning.plan import make_plan
from stitchpipe.engine.planning.tiles import Own, apart_of, comparable, native_grid, owns_of, tiles_of, width
from stitchpipe.rows import VIEWS, n_positions
from tests.engine.conftest import SPLIT, all_pairs, layers_of

IMAGE, OTHER, WIDE = (3, 4, 4), (5, 4, 4), (2, 8, 2)
SMALL, TOKENS, MORE_TOKENS, VECTOR = (7, 2, 2), (9, 6), (5, 6), (11,)

sizes = st.sampled_from([1, 2, 4, 6, 8])
shapes = st.one_of(
    st.tuples(st.integers(1, 40), sizes, sizes),
    st.tuples(st.sampled_from([5, 9]), st.integers(1, 40)),
    st.tuples(st.integers(1, 40)),
)


@st.composite
def wishes(draw, least=1, most=9):
    """Layers of any kinds, and any pairs of them under any views."""
    layers = layers_of(draw(st.lists(shapes, min_size=least, max_size=most)))
    index = st.integers(0, len(layers) - 1)
    pairs = st.frozensets(st.tuples(index, index), max_size=40).map(Pairs.of) | st.just(all_pairs(layers))
    return layers, draw(st.dictionaries(st.sampled_from(VIEWS), pairs, min_size=1))


def products_of(tile):
    """Return each product of a tile as the directed pairs that it serves."""
    if tile.symmetric:
        return [{(s, t), (t, s)} for s, t in itertools.combinations_with_replacement(tile.sources, 2)]
    back = tile.mutual
    return [{(s, t), (t, s)} if back else {(s, t)} for s in tile.sources for t in tile.targets]


def only(layers, view, pairs):
    return tiles_of(layers, view, comparable(layers, view, pairs))


@given(wish=wishes())
def test_every_pair_is_served_by_one_product_and_no_product_by_none(wish):
    layers, wanted = wish
    for view, pairs in wanted.items():
        possible = comparable(layers, view, pairs)
        served: Counter[tuple[int, int]] = Counter()
        for tile in only(layers, view, pairs):
            for product in products_of(tile):
                assert product & possible
                served.update(product)
        assert max(served.values(), default=1) == 1
        assert possible <= served.keys()


@given(wish=wishes())
def test_a_product_is_formed_where_there_are_fewest_positions(wish):
    layers, wanted = wish
    for view, pairs in wanted.items():
        for tile in only(layers, view, pairs):
            for source, target in itertools.product(tile.sources, tile.targets):
                own, grid = native_grid(layers[source], view), native_grid(layers[target], view)
                assert tile.grid == grid
                assert tile.formed_on in (own, grid)
                assert n_positions(tile.formed_on) == min(n_positions(own), n_positions(grid))
                assert tile.mutual == (own == grid)
                if tile.mutual:
                    assert tile.formed_on == grid


@given(wish=wishes())
def test_what_is_resized_is_the_side_with_more_positions(wish):
    layers, wanted = wish
    for view, pairs in wanted.items():
        tiles = only(layers, view, pairs)
        for tile in tiles:
            for side, members in (("source", tile.sources), ("target", tile.targets)):
                kinds = {operand_of_side(layers, tile, index, side).kind for index in members}
                if tile.mutual:
                    assert kinds == {"native"}
                assert kinds <= {"native", "resized" if side == "source" else "adjoint"}
        for own in owns_of(tiles):
            place, member = own_operand(layers, own)
            native = native_grid(layers[own.layer], view)
            assert n_positions(place) == min(n_positions(native), n_positions(own.grid))
            assert place == (native if member.kind == "native" else own.grid)


@given(wish=wishes())
def test_own_moments_are_those_of_both_sides_on_the_targets_grid(wish):
    layers, wanted = wish
    for view, pairs in wanted.items():
        tiles = only(layers, view, pairs)
        needed = {
            Own(view, index, native_grid(layers[pair[1]], view))
            for pair in comparable(layers, view, pairs)
            for index in pair
        }
        found = owns_of(tiles)
        assert len(set(found)) == len(found)
        assert needed <= set(found)
        # Where a product is mutual both sides are on one grid, so nothing is kept that no pair needs.
        assert set(found) == needed
        formed = {(tile.grid, index) for tile in tiles if tile.symmetric for index in tile.sources}
        assert set(apart_of(tiles, found)) == {own for own in found if (own.grid, own.layer) not in formed}


def test_all_pairs_of_one_grid_are_one_symmetric_tile():
    layers = layers_of([IMAGE, OTHER, IMAGE])
    (tile,) = tiles_of(layers, "positions", all_pairs(layers))
    assert tile.symmetric
    assert tile.sources == tile.targets == (0, 1, 2)
    (pooled,) = tiles_of(layers_of([IMAGE, SMALL, VECTOR, TOKENS]), "pooled", all_pairs(range(4)))
    assert pooled.symmetric


def test_all_pairs_of_two_grids_are_two_symmetric_tiles_and_one_each_way():
    layers = layers_of([IMAGE, SMALL, OTHER, SMALL])
    found = tiles_of(layers, "positions", all_pairs(layers))
    assert [(tile.grid, tile.formed_on, tile.sources, tile.targets, tile.symmetric) for tile in found] == [
        ((2, 2), (2, 2), (1, 3), (1, 3), True),
        ((4, 4), (4, 4), (0, 2), (0, 2), True),
        ((2, 2), (2, 2), (0, 2), (1, 3), False),
        ((4, 4), (2, 2), (1, 3), (0, 2), False),
    ]


def test_a_new_model_beside_old_ones_is_a_symmetric_and_a_rectangular_tile_per_grid():
    layers = layers_of([IMAGE, SMALL] * 4)
    old, new = range(6), (6, 7)
    wanted = Pairs.of(pair for pair in all_pairs(layers) if set(pair) & set(new))
    found = [tile for tile in tiles_of(layers, "positions", wanted) if tile.mutual]
    for grid, own in (((2, 2), 7), ((4, 4), 6)):
        here = [tile for tile in found if tile.grid == grid]
        assert sorted(tile.symmetric for tile in here) == [False, True]
        for tile in here:
            sides = {tile.sources, tile.targets}
            rest = tuple(index for index in old if index % 2 == own % 2)
            assert sides == ({(own,)} if tile.symmetric else {(own,), rest})
    assert sum(len(products_of(tile)) for tile in found) == 2 * (1 + 3)


def test_layers_of_one_area_and_other_sides_are_resized_to_the_target():
    layers = layers_of([(3, 2, 8), (3, 8, 2), (3, 4, 4)])
    for tile in tiles_of(layers, "positions", Pairs.of([(0, 1), (1, 0), (2, 0)])):
        assert tile.formed_on == tile.grid
        assert not tile.mutual


@given(wish=wishes())
def test_what_cannot_be_compared_is_listed_not_dropped(wish):
    layers, wanted = wish
    plan = make_plan(layers, wanted, splits=[SPLIT], memory_limit_bytes=2**31)
    formed = {
        (work.tiles[chunk.tile].view, pair)
        for work in plan.passes
        for chunk in work.chunks
        for pair in map(tuple, chunk.pairs.tolist())
    }
    left = {(view, pair) for view, of in plan.incomparable.items() for pair in of}
    assert not formed & left
    assert formed | left == {(view, pair) for view, of in wanted.items() for pair in of}


def test_vectors_meet_what_has_positions_only_once_pooled():
    layers = layers_of([IMAGE, TOKENS, MORE_TOKENS, VECTOR])
    for view in ("positions", "pooled", "flatten"):
        plan = make_plan(layers, {view: all_pairs(layers)}, splits=[SPLIT], memory_limit_bytes=2**30)
        missing = set(plan.incomparable.get(view, ()))
        expected = {pair for pair in all_pairs(layers) if (pair[0] == 3) != (pair[1] == 3)}
        assert missing == (expected if view == "positions" else set())


@given(shape=shapes, view=st.sampled_from(VIEWS))
def test_a_norm_rides_along_where_a_row_is_an_image(shape, view):
    (layer,) = layers_of([shape])
    features = shape[0] if len(shape) == 3 else shape[-1]
    expected = {
        "positions": features,
        "pooled": features + 1,
        "flatten": prod(shape) + 1,
    }
    assert width(layer, view) == expected[view]
