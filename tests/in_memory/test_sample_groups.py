"""Samples that belong together, in memory: left out and exchanged together, and what is missing then is said."""

from __future__ import annotations

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import algebra
from stitchpipe.algebra import RowsError
from stitchpipe.algebra.certainty import jackknife
from stitchpipe.in_memory.over_images import OverImages
from stitchpipe.in_memory.sample_groups import SampleGroups

COPIES = 4


def in_copies(images, seed, width=6):
    """Return layers that have nothing in common, of images in near-copies, shuffled; and whose copies they are."""
    rng = np.random.default_rng(seed)
    names = np.repeat(np.arange(images), COPIES)
    layers = [np.repeat(rng.standard_normal((images, width)), COPIES, axis=0) for _ in range(2)]
    order = rng.permutation(len(names))
    return [(layer + 0.1 * rng.standard_normal(layer.shape))[order] for layer in layers], names[order]


def test_whole_groups_are_left_out_and_the_limits_are_those_of_the_jackknife():
    (X, Y), names = in_copies(30, 0)
    frame = sp.compare(X, Y, indices=["cka_biased"], groups=names, intervals=True)
    row = frame[(frame["source"] == "X") & (frame["target"] == "Y")].iloc[0]
    parts = SampleGroups.of(names, len(names)).parts(20)
    assert len(parts) == 20
    assert sorted(np.concatenate(parts)) == list(range(len(names)))
    assert all(set(names[part]).isdisjoint(names[np.setdiff1d(np.arange(120), part)]) for part in parts)
    without = [algebra.cka(np.delete(X, part, 0), np.delete(Y, part, 0), debiased=False) for part in parts]
    expected = jackknife(algebra.cka(X, Y, debiased=False), without, [len(part) for part in parts])
    assert row["low"] == pytest.approx(float(expected.low), rel=1e-9)
    assert row["high"] == pytest.approx(float(expected.high), rel=1e-9)


@pytest.mark.parametrize(("groups", "has_limits"), [(9, False), (10, True)])
def test_no_limits_where_few_groups_force_the_number_and_it_is_said(groups, has_limits):
    generator = np.random.default_rng(5)
    names = np.arange(60) % groups
    X, Y = (
        generator.normal(size=(groups, width))[names] + generator.normal(size=(60, width)) for width in (4, 5)
    )
    frame = sp.compare(X, Y, indices=["cca_sq", "gulp", "cka_biased"], groups=names, intervals=True)
    between = frame[frame["p"] != frame["q"]].set_index("index")
    assert between["value"].notna().all()
    assert between["low"].notna().to_dict() == {"cca_sq": has_limits, "gulp": has_limits, "cka_biased": True}
    said = between["reason"].fillna("").str.contains(f"no interval where p \\+ q > {groups - 1}")
    assert said.to_dict() == {"cca_sq": not has_limits, "gulp": not has_limits, "cka_biased": False}


def test_orders_put_groups_where_groups_of_their_size_were():
    names = np.array(["b", "a", "b", "c", "d", "d", "a", "e"])
    groups = SampleGroups.of(names, 8)
    for order in groups.orders(50):
        assert sorted(order) == list(range(8))
        moved = names[order]
        for name in names:
            # The samples of a group stand beside one group again, in their order.
            places = np.flatnonzero(names == name)
            assert len(set(moved[places])) == 1
            assert list(order[places]) == sorted(order[places])
    assert any(names[order[0]] != "b" for order in groups.orders(50))


@pytest.mark.parametrize("index", ["cka", "rsa"])
def test_copies_are_found_alike_unless_their_groups_are_told(index):
    """Twenty images in four copies each: layers with nothing in common, of which each sample alone finds something."""
    alone, together = [], []
    for seed in range(12):
        (X, Y), names = in_copies(20, seed)
        for given, p_values in ((None, alone), (names, together)):
            frame = sp.compare(X, Y, indices=[index], permutations=99, groups=given)
            p_values.append(frame[(frame["source"] == "X") & (frame["target"] == "Y")]["p_value"].iloc[0])
    assert np.mean(np.array(alone) <= 0.05) > 0.5
    assert np.mean(np.array(together) <= 0.05) <= 0.25


def test_what_is_missing_is_said_beside_the_number():
    (X, Y), names = in_copies(20, 1)
    frame = sp.compare(
        X, Y, indices=["cka", "cka_rbf", "procrustes"], permutations=19, groups=names
    ).set_index("index")
    assert frame.loc["cka", "effect_size"].isna().all()
    assert frame.loc["cka_rbf", "p_closed"].isna().all()
    assert frame.loc["cka", "reason"].str.startswith("no null in closed form").all()
    assert frame.loc["procrustes", "reason"].isna().all()
    assert frame.loc["cka", "p_value"].notna().all()
    names[0] = 99
    odd = sp.compare(X, Y, indices=["cka"], permutations=19, groups=names)
    assert odd["p_value"].isna().all()
    assert odd["reason"].str.contains("those of 1, 3 samples").all()


def test_groups_of_one_are_no_groups_at_all():
    (X, Y), _ = in_copies(10, 2)
    plain = sp.compare(X, Y, indices=["cka", "rsa"], permutations=19, intervals=True)
    ones = sp.compare(X, Y, indices=["cka", "rsa"], permutations=19, intervals=True, groups=range(40))
    assert plain.equals(ones)


def test_fewer_than_five_groups_have_no_interval():
    (X, Y), names = in_copies(4, 3)
    frame = sp.compare(X, Y, indices=["cka_biased", "rsa"], intervals=True, groups=names).set_index("index")
    assert frame["low"].isna().all()
    said = frame["reason"].fillna("").str.contains("5 parts at least, and they make 4")
    assert said["cka_biased"].all()
    assert not said["rsa"].any()


def test_where_rows_are_positions_no_null_is_missed():
    generator = np.random.default_rng(6)
    X, Y = (generator.normal(size=(40, 3, 2, 2)) for _ in range(2))
    names = np.arange(40) // 4
    spatial, pooled = (
        sp.compare(X, Y, indices=["cka_biased"], view=view, groups=names) for view in ("positions", "pooled")
    )
    assert spatial["reason"].isna().all()
    assert pooled["reason"].str.startswith("no null in closed form").all()


def test_of_many_samples_whole_groups_are_chosen():
    groups = SampleGroups.of(np.repeat(np.arange(100), 3), 300)
    chosen = groups.chosen(100)
    assert len(chosen) == 99
    assert len(groups.at(chosen).codes) == 99
    assert np.bincount(groups.at(chosen).codes).tolist() == [3] * 33
    assert OverImages.__dataclass_fields__["groups"].default is None


@pytest.mark.parametrize(("groups", "found"), [([1, 2], "shape"), ([None, *range(39)], "1 without one")])
def test_groups_that_are_none_are_refused(groups, found):
    (X, Y), _ = in_copies(10, 4)
    with pytest.raises(RowsError, match=found):
        sp.compare(X, Y, groups=groups)
