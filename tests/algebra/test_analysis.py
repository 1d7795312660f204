"""One analysis per pair: the same numbers as one by one, and nothing computed twice."""

from collections import Counter

import numpy as np
import pytest

from stitchpipe import algebra
from stitchpipe.algebra import Analysis, PairMoments
from tests.algebra.cases import ALL, related

X, Y = related(n=200, p=7, q=5)
TRAIN, TEST = PairMoments.from_rows(X[:100], Y[:100]), PairMoments.from_rows(X[100:], Y[100:])


@pytest.fixture
def counted(monkeypatch):
    """Count NumPy's decompositions by name."""
    counts = Counter()
    for name in ("eigh", "eigvalsh", "svd", "svdvals"):
        plain = getattr(np.linalg, name)

        def counting(*args, _plain=plain, _name=name, **options):
            counts[_name] += 1
            return _plain(*args, **options)

        monkeypatch.setattr(f"array_api_compat.numpy.linalg.{name}", counting)
    return counts


def fresh(pair):
    """The same moments without anything computed from them yet."""
    x, y = (algebra.Moments(side.n, side.mean, side.comoment) for side in (pair.x, pair.y))
    return PairMoments(x, y, pair.xy, pair.norm_products)


def test_all_indices_of_a_pair_share_their_decompositions(counted):
    analysis = Analysis(fresh(TEST), fresh(TRAIN))
    for name in (
        "cca",
        "cca_sq",
        "pwcca",
        "procrustes",
        "procrustes_angle",
        "nbs",
        "cka",
        "cka_biased",
        "rv",
    ):
        algebra.evaluate(name, analysis)
    assert counted == {"eigh": 2, "svd": 1, "svdvals": 1}  # either side, all of CCA, all of Procrustes
    algebra.evaluate("dm_r2", analysis)
    algebra.evaluate("dm_struct", analysis)
    assert counted == {"eigh": 3, "svd": 1, "svdvals": 1}  # the source of the training rows
    for name in (
        "gulp",
        "ridge_cca",
        "dm_ridge_r2",
        "dm_ridge_struct",
        "dm_low_rank_r2",
        "dm_low_rank_struct",
    ):
        algebra.evaluate(name, analysis)
    assert counted == {"eigh": 3, "svd": 2, "svdvals": 2}  # the low-rank map; ridge CCA


def test_the_other_direction_takes_the_decompositions_of_this_one(counted):
    forth = Analysis(fresh(TEST), fresh(TRAIN))
    back = forth.swap()
    for name in ("pwcca", "svcca", "procrustes", "gulp", "ridge_cca"):
        algebra.evaluate(name, back)
        algebra.evaluate(name, forth)
    assert counted == {
        "eigh": 2,
        "svd": 2,
        "svdvals": 3,
    }  # CCA, SVCCA; Procrustes; ridge CCA of either direction


def test_the_other_direction_names_its_own_sides():
    constant = np.full((100, 2), 0.5)
    forth = Analysis(PairMoments.from_rows(X[:100], constant))
    for name in ("cca", "procrustes", "gulp"):
        with pytest.raises(algebra.UndefinedIndexError, match=f"{name}: expected a target that varies"):
            algebra.evaluate(name, forth)
        with pytest.raises(algebra.UndefinedIndexError, match=f"{name}: expected a source that varies"):
            algebra.evaluate(name, forth.swap())


def test_pairs_of_one_layer_share_its_spectrum(counted):
    layers = [algebra.Moments.from_block(rows) for rows in (X, Y, X[:, :3])]
    rows = [X, Y, X[:, :3]]
    for i, x in enumerate(layers):
        for j, y in enumerate(layers):
            xy = algebra.CrossMoments.from_block(rows[i], rows[j]).comoment
            algebra.evaluate("cca", Analysis(PairMoments(x, y, xy)))
    assert counted["eigh"] == 3


@pytest.mark.parametrize("name", ALL)
def test_a_value_is_what_it_is_alone(name):
    together = Analysis(TEST, TRAIN)
    for other in ALL:
        algebra.evaluate(other, together)
    assert algebra.evaluate(name, together) == algebra.evaluate(name, fresh(TEST), train=fresh(TRAIN))
    assert algebra.evaluate(name, together) == algebra.evaluate(name, together)


@pytest.mark.parametrize("name", ALL)
def test_the_other_direction(name):
    back = Analysis(TEST, TRAIN, (2.0**-30, 2.0**-40)).swap()
    expected = algebra.evaluate(
        name,
        Analysis(
            PairMoments.from_rows(Y[100:], X[100:]),
            PairMoments.from_rows(Y[:100], X[:100]),
            (2.0**-40, 2.0**-30),
        ),
    )
    found = algebra.evaluate(name, back)
    assert found.value == pytest.approx(expected.value, rel=1e-10)
    assert found.rank == expected.rank
    assert (found.condition or 0.0) == pytest.approx(expected.condition or 0.0, rel=1e-10)


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        (name, index.measure.computed_from)
        for name, index in algebra.INDICES.items()
        if index.measure.computed_from != "moments"
    ],
)
def test_what_is_not_computed_from_moments_is_refused_by_the_name_of_what_it_needs(name, summary):
    with pytest.raises(algebra.AlgebraError, match=summary) as caught:
        algebra.evaluate(name, Analysis(TEST, TRAIN))
    assert caught.value.where == name


def test_each_side_is_cut_off_at_its_own_precision():
    """A duplicate up to rounding at storage: in the source it does not count, in the target it does."""
    rng = np.random.default_rng(0)
    base = rng.standard_normal((400, 3))
    rough = np.column_stack([base, base[:, 0] + 1e-5 * rng.standard_normal(400)])
    pair = PairMoments.from_rows(rough, rough + 0.0)
    half, double = 2.0**-10, 2.0**-52
    assert Analysis(pair, storage_eps=(half, double)).correlations().directions_x.rank == 3
    assert Analysis(pair, storage_eps=(half, double)).correlations().directions_y.rank == 4
    assert Analysis(pair, pair, (half, double)).fitted().rank == 3
    assert Analysis(pair, pair, (double, half)).fitted().rank == 4
    assert Analysis(pair, storage_eps=half).correlations().rank == 3


def test_residuals_far_above_their_floor_take_no_decomposition(counted):
    fitted = Analysis(TEST, TRAIN).fitted()
    counted.clear()
    residual = fitted.residual_from_moments(TEST)
    assert not counted
    assert residual.sum_of_squares > 1e6 * residual.floor
    own = algebra.fit_direct_matching(PairMoments.from_rows(X[:100], X[:100]))
    residual = own.residual_from_moments(PairMoments.from_rows(X[100:], X[100:]))
    assert counted == {"eigh": 1, "eigvalsh": 1}  # the fit's, and that of the residuals' comoments
    assert 0.0 <= residual.sum_of_squares <= 100 * residual.floor
