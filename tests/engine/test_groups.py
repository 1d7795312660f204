"""Images that belong together: leaves, nulls and what is read of a split whose groups lie across row groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitchpipe.algebra.certainty import draw_permutations, lone_sizes
from stitchpipe.algebra.errors import RowsError
from stitchpipe.engine import Comparison, SplitShape
from stitchpipe.engine.planning.shapes import LEAVES
from tests.engine.conftest import SPLIT


def bounds_of(sizes):
    edges = np.cumsum([0, *sizes]).tolist()
    return tuple(itertools.pairwise(edges))


def shape(sizes, rows):
    n = sum(sizes)
    return SplitShape(
        "d", "s", tuple((start, min(start + rows, n)) for start in range(0, n, rows)), bounds_of(sizes)
    )


sizes = st.lists(st.integers(1, 9), min_size=1, max_size=60)


@given(sizes=sizes, rows=st.integers(1, 12))
def test_leaves_are_whole_groups_and_pieces_lie_in_one_row_group(sizes, rows):
    split = shape(sizes, rows)
    assert [piece.start for piece in split.pieces] == [0, *(piece.stop for piece in split.pieces[:-1])]
    for number, start, stop in split.pieces:
        first, last = split.row_groups[number]
        assert first <= start < stop <= last
    leaves = split.leaves()
    assert list(itertools.chain(*leaves)) == list(range(len(split.pieces)))
    ends = {stop for _, stop in split.groups}
    assert {split.pieces[leaf[-1]].stop for leaf in leaves} <= ends
    assert 1 <= len(leaves) <= min(LEAVES, len(sizes), len(split.row_groups))
    assert sum(map(split.samples_of, leaves)) == split.n_samples


@given(count=st.integers(1, 70), rows=st.integers(1, 9))
def test_groups_of_one_are_no_groups(count, rows):
    grouped = shape([1] * count, rows)
    plain = SplitShape("d", "s", grouped.row_groups)
    assert grouped.pieces == plain.pieces
    assert grouped.leaves() == plain.leaves()
    assert grouped.n_images == plain.n_images
    orders = draw_permutations(count, 5, seed=3, groups=grouped.groups) if count > 1 else None
    if orders is not None:
        np.testing.assert_array_equal(orders, draw_permutations(count, 5, seed=3))


def test_nulls_rest_on_whole_groups_of_the_first_images():
    assert shape([30] * 100, 100).n_images == 1980
    assert shape([1500, 1700], 100).n_images == 1500
    huge = shape([10, 5000], 100)
    assert huge.n_images == 2000
    assert huge.image_groups == ((0, 10), (10, 2000))


def test_every_permutation_of_groups_occurs_and_no_other():
    # Two groups of one, two of three and three of two: 2! · 2! · 3! = 24 permutations
    sizes = [1, 3, 2, 2, 1, 3, 2]
    bounds = bounds_of(sizes)
    by_size = {size: [at for at, other in enumerate(sizes) if other == size] for size in sizes}
    expected = set()
    for chosen in itertools.product(*(itertools.permutations(places) for places in by_size.values())):
        moved = dict(zip(itertools.chain(*by_size.values()), itertools.chain(*chosen), strict=True))
        expected.add(tuple(row for place in range(len(sizes)) for row in range(*bounds[moved[place]])))
    assert len(expected) == 24
    drawn = draw_permutations(14, 1000, groups=bounds)
    found, counts = np.unique(drawn, axis=0, return_counts=True)
    assert {tuple(order) for order in found.tolist()} == expected
    # 1,000 draws of 24: 42 each, standard deviation 6.3
    assert counts.min() > 15
    assert counts.max() < 75
    quotients = np.take_along_axis(drawn[:500], np.argsort(drawn[500:], axis=1), axis=1)
    assert {tuple(order) for order in quotients.tolist()} <= expected


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        (((0, 2), (2, 4), (4, 7)), "one group alone of 3 samples"),
        (((0, 2), (3, 7)), "gaps"),
        (((0, 3), (3, 6)), "end elsewhere"),
        (((1, 4), (4, 7)), "gaps"),
    ],
)
def test_groups_that_cannot_be_exchanged_are_refused(groups, found):
    with pytest.raises(RowsError, match=found):
        draw_permutations(7, 3, groups=groups)


def test_sizes_that_stand_alone_are_told():
    assert lone_sizes(bounds_of([3, 1, 4, 1, 5])) == (3, 4, 5)
    assert lone_sizes(()) == ()


def test_chunks_at_a_cut_are_read_twice_and_the_plan_says_so():
    split = shape([7] * 6, 14)  # row groups of two groups: leaves lie between row groups
    assert split.samples_read(1) == split.samples_read(7) == 42
    split = shape([9] * 5, 15)  # cuts at 0, 18, 27 (of 15 and 30): 18 in the second row group
    assert [piece.start for piece in split.pieces] == [0, 15, 18, 27, 30]
    assert split.samples_read(1) == 45
    assert split.samples_read(5) == 45 + 5 + 5  # the chunks from 15 and from 25


def compared(split, **options):
    return Comparison((), (split,), {}, {"pooled": ("cka", "cca", "dm_r2"), "positions": ("cka",)}, **options)


def test_what_groups_forbid_is_said_beside_the_numbers():
    apart = compared(SPLIT, permutations=9, intervals=True)
    assert apart.remarks == {}
    equal = compared(shape([2] * 20, 2), permutations=9, intervals=True)
    assert equal.drawn == 9
    assert equal.remarks["pooled"].keys() == {"cka"}
    assert "no null in closed form" in equal.remarks["pooled"]["cka"]
    assert equal.remarks["positions"] == {}
    lone = compared(shape([2] * 20 + [3], 2), permutations=9)
    assert lone.drawn == 0
    assert "those of 3 images have none" in lone.remarks["pooled"]["cka"]
    assert lone.over_images["pooled"] == ()
    few = compared(shape([10] * 4, 2), intervals=True)
    assert "they make 4" in few.remarks["pooled"]["cca"]
