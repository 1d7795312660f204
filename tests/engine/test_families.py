"""Which pairs make one claim, by which orders they are permuted; and no cutting into blocks changes what comes out."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from stitchpipe.algebra.certainty import NullScale, calibrate_in_family, permutation_null
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.samples import SampleGram
from stitchpipe.engine import ImageComparison, Pairs
from stitchpipe.engine.samples import compare_images as blocks
from stitchpipe.engine.samples.families import Families
from stitchpipe.engine.samples.family_numbers import FAMILY_EXTRAS, ComparedPairs, with_families
from stitchpipe.engine.samples.kept_images import keep_images
from stitchpipe.engine.samples.kept_null_sums import keep_null_sums

MODELS = ("one", "one", "two", "two", "two", "three")
ALL = list(itertools.product(range(len(MODELS)), repeat=2))


def members(families, pair):
    """Return the directed pairs in the family of one."""
    codes = families.of(np.array(ALL, np.int32))
    code = codes[ALL.index(pair)]
    return {other for other, known in zip(ALL, codes, strict=True) if known == code}


def test_what_a_family_holds():
    assert members(Families("models", MODELS), (1, 3)) == set(itertools.product((0, 1), (2, 3, 4)))
    assert members(Families("models", MODELS), (3, 1)) == set(itertools.product((2, 3, 4), (0, 1)))
    assert members(Families("targets", MODELS), (3, 0)) == set(itertools.product((2, 3, 4), (0,)))
    across = {(x, y) for x, y in ALL if MODELS[x] != MODELS[y]}
    assert members(Families("run", MODELS), (5, 0)) == {(x, y) for x, y in across if x > y}


@pytest.mark.parametrize("kind", ["models", "targets", "run", None])
def test_no_pair_of_one_model_is_in_a_family(kind):
    codes = Families(kind, MODELS).of(np.array(ALL, np.int32))
    alone = [MODELS[x] == MODELS[y] or kind is None for x, y in ALL]
    assert ((codes == -1) == alone).all()


def test_pairs_are_completed_to_their_families_and_no_further():
    asked = Pairs.of({(0, 2), (3, 4), (5, 5)})
    both = set(itertools.product((0, 1), (2, 3, 4)))
    of_models = asked | both | {(y, x) for x, y in both}
    for kind in ("models", "targets"):
        assert Families(kind, MODELS).completed(asked) == of_models
    assert Families(None, MODELS).completed(asked) == asked
    across = {(x, y) for x, y in ALL if MODELS[x] != MODELS[y]}
    assert Families("run", MODELS).completed(asked) == asked | across
    assert Families("run", MODELS).completed(Pairs.of({(3, 4)})) == {(3, 4)}


def test_models_whose_layers_are_mixed_have_no_families():
    with pytest.raises(ValueError, match="adjacent"):
        Families("models", ("one", "two", "one"))
    Families(None, ("one", "two", "one"))


def test_orders_over_a_run_are_those_of_one_relabelling():
    """π_x⁻¹π_y and π_y⁻¹π_z make π_x⁻¹π_z: the orders of the pairs of three models are of three orders, not of more."""
    families = Families("run", MODELS)
    sides = range(len(MODELS))
    orders = {(x[0], y[0]): drawn for x, y, drawn in families.parts((sides, sides), 9, 7)}
    first, second, both = orders[0, 2], orders[2, 5], orders[0, 5]
    np.testing.assert_array_equal(np.take_along_axis(second, first, axis=1), both)
    assert (first != second).any()
    assert set(orders) == {(0, 0), (0, 2), (0, 5), (2, 2), (2, 5), (5, 5)}


def test_runs_of_layers_cut_no_model_that_fits():
    layers = list(range(len(MODELS)))
    assert Families("run", MODELS).runs(layers, 4) == [[0, 1], [2, 3, 4, 5]]
    assert Families("run", MODELS).runs(layers, 2) == [[0, 1], [2, 3], [4, 5]]
    assert Families("run", MODELS).runs([], 4) == []
    assert Families("models", MODELS).runs(layers, 4) == [[0, 1, 2, 3], [4, 5]]


def test_orders_of_a_model_do_not_depend_on_the_others():
    few = list(Families("run", ("one", "two")).parts(([0], [1]), 9, 7))
    many = list(Families("run", ("zero", "one", "between", "two")).parts(([1], [3]), 9, 7))
    np.testing.assert_array_equal(few[0][2], many[0][2])


@pytest.fixture(scope="module")
def kept(synthetic, tmp_path_factory):
    """Images of two models that have the same layers, and a third that has one of them."""
    names = [*("m1",) * 2, *("m2",) * 3, "m3"]
    known = {layer.layer: layer for layer in synthetic.layers}
    layers = [known[name] for name in ("wide", "dead", "coarse", "constant", "duplicate", "wide")]
    comparison = ImageComparison(
        synthetic.resources(tmp_path_factory.mktemp("kept")),
        tuple(layers),
        synthetic.splits[-1],
        {"pooled": ("cka", "rsa")},
        39,
    )
    for layer in range(len(layers)):
        keep_images(comparison, layer, "pooled")
        keep_null_sums(comparison, layer, "pooled")
    # Kept images are named by the layers as they were read. Here they go by other names of models.
    keys = [comparison.key(layer, "pooled") for layer in range(len(layers))]
    renamed = tuple(replace(layer, model=model) for layer, model in zip(layers, names, strict=True))

    class Renamed(ImageComparison):
        def key(self, index, view):
            return keys[index]

    return lambda kind: Renamed(comparison.resources, renamed, comparison.split, comparison.indices, 39, kind)


def compared(comparison, size, monkeypatch, *, reverse=False):
    """Return all numbers of a comparison in blocks of some size, merged in either order."""
    pairs = Pairs.every(len(comparison.layers))
    monkeypatch.setattr(blocks, "BLOCK_LAYERS", size)
    parts = [
        blocks.compare_images(comparison, "pooled", *sides)
        for sides in blocks.blocks_of(comparison.families, pairs)
    ]
    joined = ComparedPairs.joined(parts[::-1] if reverse else parts)
    found = with_families(comparison.families, joined.among(pairs))
    return {(each.index, each.pair): each.number for numbers in found for each in numbers.records()}


@pytest.mark.parametrize("kind", ["models", "targets", "run"])
def test_blocks_change_nothing(kept, kind, monkeypatch):
    whole = compared(kept(kind), 12, monkeypatch)
    assert len(whole) == 2 * 36
    for size, reverse in ((1, False), (2, True), (4, False)):
        other = compared(kept(kind), size, monkeypatch, reverse=reverse)
        assert other.keys() == whole.keys()
        for at, number in whole.items():
            assert other[at].status == number.status
            assert other[at].extras == pytest.approx(number.extras, rel=1e-10)
    known = [number for number in whole.values() if "p_family" in number.extras]
    assert all(number.extras.keys() >= set(FAMILY_EXTRAS) for number in known)
    assert min(number.extras["p_family"] for number in known) == 1 / 40


def test_without_families_nothing_of_them_is_said(kept, monkeypatch):
    alone, whole = compared(kept(None), 12, monkeypatch), compared(kept("models"), 12, monkeypatch)
    assert not any(set(number.extras) & set(FAMILY_EXTRAS) for number in alone.values())
    for at, number in alone.items():
        assert number.value == whole[at].value
        assert number.extras.items() <= whole[at].extras.items()


def share_of_runs_with_a_finding(runs, *, models, layers_each, n, draws):
    """Return in which share of runs of unpaired models, whose layers depend on each other, some pair has a p ≤ .05."""
    rng, found = np.random.default_rng(31), 0
    places = range(models * layers_each)
    for run in range(runs):
        layers = []
        for _ in range(models):
            base = rng.standard_normal((n, 3))
            mixed = [base @ rng.standard_normal((3, width)) for width in rng.integers(1, 6, layers_each)]
            layers += [linear_kernel(SampleGram.from_block(np.tanh(rows))) for rows in mixed]
        # Orders are seeded by the models' names, and each run is to have its own.
        families = Families("run", tuple(f"{place // layers_each} of {run}" for place in places))
        observed, null = [], []
        for sources, targets, orders in families.parts((places, places), n, draws):
            if families.models[sources[0]] != families.models[targets[0]]:
                sides = ([layers[place] for place in side] for side in (sources, targets))
                of_part = permutation_null(*sides, orders)
                observed.append(of_part.observed.reshape(-1))
                null.append(of_part.null.reshape(draws, -1))
        values, drawn = np.concatenate(observed), np.concatenate(null, axis=1)
        scale = NullScale.of(drawn)
        largest = scale.studentised(values, drawn).max(axis=1)
        found += calibrate_in_family(values, scale, largest).p_value.min() <= 0.05
    return found / runs


def test_runs_of_unpaired_models_have_a_finding_in_five_of_a_hundred():
    share = share_of_runs_with_a_finding(150, models=4, layers_each=2, n=12, draws=19)
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.slow
def test_runs_of_unpaired_models_have_a_finding_in_five_of_a_hundred_of_many():
    share = share_of_runs_with_a_finding(2000, models=5, layers_each=2, n=20, draws=39)
    assert abs(share - 0.05) <= 3 * np.sqrt(0.05 * 0.95 / 2000)
