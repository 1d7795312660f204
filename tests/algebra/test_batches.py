"""Pairs decomposed together: the numbers of one by one, the same refusals, and nothing of the neighbours."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from stitchpipe import algebra
from stitchpipe.algebra import AlgebraError, Index, MomentsError
from stitchpipe.algebra.batches import BatchValues, PairBatch, evaluate, evaluate_both, working_bytes
from tests.algebra.batches import Layer, Sides, layer_batch, layers, named, refreshed
from tests.algebra.cases import ALL, EPS

INDICES = named(*ALL)
CASES = {"tall": (60, 7, 7), "two widths": (60, 9, 6), "few rows": (9, 6, 5), "short": (8, 20, 18)}


def sides(n, p, q):
    """Rows to score first, rows to fit on behind them; the targets are every other kind of layer."""
    return Sides(layers(2 * n, p, 1), layers(2 * n, q, 1)[1::2], slice(None, n), slice(n, None))


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return sides(*CASES[request.param])


def tolerance(expected):
    """Rounding, which grows with the square of the condition of what is inverted."""
    condition = expected.extras.get("condition", 1.0)
    return 1e-12 * max(1.0, abs(expected.value)) + 50 * EPS * condition**2


def smooth(name, value):
    """What an index is before a root or an arccosine makes much of little: d², and the cosine."""
    if name.startswith("gulp"):
        return value**2
    return np.cos(value) if name == "procrustes_angle" else value


def assert_same(name, found, expected, pair):
    assert (found.status, found.reason) == (expected.status, expected.reason), (name, pair)
    if expected.value is None:
        return
    at = smooth(name, found.value), smooth(name, expected.value)
    assert abs(at[0] - at[1]) <= tolerance(expected), (name, pair, found, expected)
    assert found.extras.get("rank") == expected.extras.get("rank"), (name, pair)
    condition = expected.extras.get("condition")
    assert found.extras.get("condition") == (condition and pytest.approx(condition, rel=1e-9)), (name, pair)


def assert_equal(found, expected):
    """Bit for bit, what is undefined included."""
    for column in ("values", "rank", "condition"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))
    notes = (
        [[numbers.notes[code] for code in row] for row in numbers.codes] for numbers in (found, expected)
    )
    assert next(notes) == next(notes)


def test_a_batch_gives_the_numbers_of_one_by_one_in_both_directions(case):
    forth, back = evaluate_both(case.batch(), INDICES)
    for place, (i, j) in enumerate(case.pairs()):
        analysis = case.analysis(i, j)
        mirrored = analysis.swap()
        for k, index in enumerate(INDICES):
            assert_same(index.name, forth.number(k, place), index.number(analysis), (i, j))
            assert_same(index.name, back.number(k, place), index.number(mirrored), (j, i))


def test_one_direction_is_the_first_of_both(case):
    both, _ = evaluate_both(case.batch(), INDICES)
    assert_equal(evaluate(case.batch(), INDICES), both)


@pytest.mark.parametrize("index", INDICES, ids=lambda index: index.name)
def test_stacks_vouch_for_whatever_is_well(index):
    """Without this, a formula that gives nothing would pass every other test by asking pair after pair."""
    well = sides(60, 7, 6)
    batch = well.batch([(0, 0), (1, 2), (3, 0), (4, 1), (9, 2)])
    for pairs in (batch, batch.swap()):
        known = np.isfinite(index.of_batch(pairs, index.measure).values)
        if index.name == "soft_matching":  # the fourth has dead features, on which there is a remark
            assert not known[3]
            known[3] = True
        assert known.all()


def test_other_rows_are_scored_by_the_maps_of_the_batch(case):
    """As the jackknife does; the rows that maps are fitted on stay."""
    whole = case.batch()
    samples = np.r_[0 : case.scored.stop - 2]
    rest = Sides(case.sources, case.targets, samples)
    forth, back = evaluate_both(whole.rescored(rest.batch()), INDICES)
    for place, (i, j) in enumerate(case.pairs()):
        analysis = case.analysis(i, j)
        other = rest.analysis(i, j).pair
        for numbers, scored, moments in ((forth, analysis, other), (back, analysis.swap(), other.swap())):
            held_out = [k for k, index in enumerate(INDICES) if index.measure.held_out]
            for k in held_out:
                INDICES[k].number(scored)  # a map is fitted once, then scored on other rows
            rescored = scored.rescored(moments)
            for k, index in enumerate(INDICES):
                assert_same(index.name, numbers.number(k, place), index.number(rescored), (i, j))


def test_no_neighbour_enters_a_pair(case):
    """Bit for bit: alone, among all, in any order, and with layers of which nothing can be computed."""
    pairs = case.pairs()
    among = evaluate_both(case.batch(), INDICES)
    order = np.random.default_rng(0).permutation(len(pairs))
    shuffled = evaluate_both(case.batch([pairs[place] for place in order]), INDICES)
    for found, expected in zip(shuffled, among, strict=True):
        assert_equal(found, _taken(expected, order))
    for place in (0, 3, 7, 12, 23, 37, 50, len(pairs) - 1):
        i, j = pairs[place]
        alone = replace(case, sources=[case.sources[i]], targets=[case.targets[j]])
        for found, expected in zip(evaluate_both(alone.batch(), INDICES), among, strict=True):
            assert_equal(found, _taken(expected, [place]))


def _taken(numbers, places):
    columns = ("values", "rank", "condition", "codes")
    return replace(numbers, **{name: getattr(numbers, name)[:, places] for name in columns})


def test_a_batch_of_many_slices_is_one_of_a_single_slice(case, monkeypatch):
    whole = evaluate_both(case.batch(), INDICES)
    monkeypatch.setattr("stitchpipe.algebra.batches.slices.SLICE_BYTES", 0)
    monkeypatch.setattr("stitchpipe.algebra.batches.layer_batch.SLICE_BYTES", 0)
    for found, expected in zip(evaluate_both(case.batch(), INDICES), whole, strict=True):
        assert_equal(found, expected)


def test_a_layer_with_itself():
    itself = [Layer(layer.rows[:60]) for layer in layers(120, 7, 1)[:6]]
    pairs = Sides(itself, itself, slice(0, 60), slice(0, 60))
    numbers = evaluate(pairs.batch([(i, i) for i in range(6)]), INDICES)
    for place in range(6):
        for k, index in enumerate(INDICES):
            assert_same(
                index.name, numbers.number(k, place), index.number(pairs.analysis(place, place)), place
            )


def test_what_is_held_beside_a_batch_is_what_was_promised():
    n, p = 60, 24
    case = Sides(layers(2 * n, p, 1)[:3], layers(2 * n, p, 2)[:3], slice(0, n), slice(n, None))
    batch = case.batch(20 * case.pairs())
    for layer in (batch.x, batch.y):
        layer.spectrum  # noqa: B018 - what is kept with layers is counted by itself
    results = 2 * 28 * len(INDICES) * len(batch)
    evaluate(batch.part(slice(0, 1)), INDICES)
    tracemalloc.start()
    try:
        evaluate_both(batch, INDICES)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - results <= working_bytes(p, p)


@pytest.mark.parametrize("condition", [1.0, 1e4, 1e7, 1e9])
def test_shapes_of_few_rows_lose_nothing_to_directions_of_little_variance(condition):
    """Directions near rounding are not known, and what is lost with them is 1e-9 here where nobody looks."""
    n, p = 12, 40

    def layer(seed):
        rng = np.random.default_rng(seed)
        left, _ = np.linalg.qr(rng.standard_normal((n, n)))
        right, _ = np.linalg.qr(rng.standard_normal((p, n)))
        return Layer((left * np.geomspace(1.0, 1.0 / condition, n)) @ right.T)

    few = Sides([layer(seed) for seed in range(4)], [layer(seed) for seed in range(4, 8)], slice(0, n))
    index = algebra.INDICES["nbs"]
    found = evaluate(few.batch(), [index])
    for place, (i, j) in enumerate(few.pairs()):
        expected = index.number(few.analysis(i, j)).value
        assert found.values[0, place] == pytest.approx(expected, rel=0, abs=1e-12)


def test_an_index_without_a_formula_for_batches_is_asked_pair_by_pair():
    plain = [replace(index, of_batch=None) for index in INDICES]
    case = sides(60, 7, 6)
    batch = case.batch([(0, 1), (7, 2), (3, 3)])
    forth, back = evaluate_both(batch, plain)
    expected = evaluate_both(refreshed(batch), INDICES)
    for found, batched in zip((forth, back), expected, strict=True):
        for place in range(3):
            for k, index in enumerate(plain):
                assert_same(index.name, batched.number(k, place), found.number(k, place), place)


def test_a_formula_may_vouch_for_nothing():
    nothing = replace(algebra.INDICES["cka"], of_batch=lambda batch, measure: None)
    batch = sides(60, 7, 6).batch([(0, 1)])
    assert evaluate(batch, [nothing]).number(0, 0).value == pytest.approx(
        evaluate(batch, named("cka")).number(0, 0).value, abs=1e-12
    )


def test_a_formula_gives_a_value_for_each_pair():
    short = replace(algebra.INDICES["cka"], of_batch=lambda batch, measure: BatchValues(np.ones(1)))
    with pytest.raises(AlgebraError, match="cka: expected one value for each of 2 pairs"):
        evaluate(sides(60, 7, 6).batch([(0, 1), (1, 1)]), [short])


def test_what_is_no_question_of_data_is_raised():
    batch = sides(60, 7, 6).batch([(0, 1)])
    with pytest.raises(AlgebraError, match="moments of other rows to fit a map on"):
        evaluate(replace(batch, train=None), named("dm_r2"))
    with pytest.raises(MomentsError, match="products of squared row norms"):
        evaluate(replace(batch, norm_products=None), named("cka"))
    with pytest.raises(MomentsError, match="a value in"):
        evaluate(replace(batch, xy=100.0 * batch.xy), named("procrustes"))


def test_moments_that_do_not_belong_together_are_refused():
    x, y = (layer_batch([Layer(rows)]) for rows in (np.eye(6, 3), np.eye(6, 2)))
    zero = np.zeros(1, dtype=np.intp)
    with pytest.raises(MomentsError, match="a batch of pairs"):
        PairBatch(x, y, zero, zero, np.zeros((1, 2, 3)))
    with pytest.raises(MomentsError, match="batch of layers"):
        replace(x, storage_eps=np.zeros(2))
    one = PairBatch(x, y, zero, zero, np.zeros((1, 3, 2)))
    with pytest.raises(MomentsError, match="the same pairs"):
        replace(one, ix=zero + 1, train=one)


def test_a_formula_of_batches_belongs_to_an_index_of_moments():
    with pytest.raises(AlgebraError, match="no formula of moments"):
        Index(algebra.INDICES["rsa"].measure, of_gram=lambda gram: gram, of_batch=lambda batch, measure: None)


def test_every_index_of_moments_has_a_formula_for_batches():
    assert all(index.of_batch is not None for index in INDICES)
