"""Ridge, orthogonal and low-rank maps: oracle, an independent library, closed cases, what each must satisfy."""

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score

from stitchpipe import algebra
from stitchpipe.algebra import PairMoments
from stitchpipe.measures import UnknownNameError
from tests import oracles
from tests.algebra.cases import conditioned, orthogonal, related

TIGHT = 1e-10
PAIRS = {
    "wider source": related(n=120, p=12, q=9, seed=0),
    "wider target": related(n=120, p=5, q=14, seed=10),
    "equal widths": related(n=120, p=8, q=8, seed=20),
}
FAMILIES = {
    "ridge(0.1)": lambda X, Y: oracles.dm_ridge(X, Y, 0.1),
    "ridge(0.01)": lambda X, Y: oracles.dm_ridge(X, Y, 0.01),
    "orthogonal": oracles.dm_orthogonal,
    "low_rank(1)": lambda X, Y: oracles.dm_low_rank(X, Y, 1),
    "low_rank(3)": lambda X, Y: oracles.dm_low_rank(X, Y, 3),
}
TRAIN, TEST = slice(None, 60), slice(60, None)


def parts(name):
    family, _, number = name.rstrip(")").partition("(")
    return family, float(number) if number else None


def index_of(name, score):
    family, _, number = name.partition("(")
    return f"dm_{family}_{score}" + (f"({number}" if number else "")


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", FAMILIES)
def test_map_and_held_out_scores_are_the_oracles(name, pair):
    X, Y = PAIRS[pair]
    family, parameter = parts(name)
    W, b = FAMILIES[name](X[TRAIN], Y[TRAIN])
    train, test = PairMoments.from_rows(X[TRAIN], Y[TRAIN]), PairMoments.from_rows(X[TEST], Y[TEST])
    by_rows = algebra.direct_matching(X[TRAIN], Y[TRAIN], family=family, parameter=parameter)
    for fitted in (algebra.fit_map(family, train, parameter=parameter), by_rows):
        np.testing.assert_allclose(fitted.W, W, rtol=0, atol=TIGHT * np.abs(W).max())
        np.testing.assert_allclose(fitted.b, b, rtol=0, atol=TIGHT * np.abs(b).max())
    analysis = algebra.Analysis(test, train)
    r2, struct = oracles.dm_r2(W, b, X[TEST], Y[TEST]), oracles.dm_struct(W, b, X[TEST], Y[TEST])
    assert algebra.evaluate(index_of(name, "r2"), analysis).value == pytest.approx(r2, rel=TIGHT)
    assert algebra.evaluate(index_of(name, "struct"), analysis).value == pytest.approx(struct, rel=TIGHT)
    assert algebra.evaluate(index_of(name, "r2"), analysis).rank == fitted.rank


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("ridge", [1e-4, 0.1, 10.0])
def test_ridge_against_scikit_learn(pair, ridge):
    X, Y = PAIRS[pair]
    alpha = ridge * np.sum((X[TRAIN] - X[TRAIN].mean(axis=0)) ** 2)
    theirs = Ridge(alpha=alpha).fit(X[TRAIN], Y[TRAIN])
    fitted = algebra.direct_matching(X[TRAIN], Y[TRAIN], family="ridge", parameter=ridge)
    np.testing.assert_allclose(fitted.W, theirs.coef_, rtol=0, atol=TIGHT * np.abs(theirs.coef_).max())
    expected = r2_score(Y[TEST], theirs.predict(X[TEST]), multioutput="variance_weighted")
    assert fitted.r2(X[TEST], Y[TEST]) == pytest.approx(expected, rel=TIGHT)
    penalised = np.linalg.svd(X[TRAIN] - X[TRAIN].mean(axis=0), compute_uv=False) ** 2 + alpha
    assert fitted.condition == pytest.approx(np.sqrt(penalised[0] / penalised[-1]), rel=TIGHT)
    assert fitted.rank == X.shape[1]


@pytest.mark.parametrize("pair", PAIRS)
def test_orthogonal_against_scipy(pair):
    """SciPy wants equal widths: padded with zero columns. Its disparity is what is left of a unit of variance."""
    X, Y = (rows - rows.mean(axis=0) for rows in PAIRS[pair])
    p, q = X.shape[1], Y.shape[1]
    width = max(p, q)
    wide_x, wide_y = (np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (X, Y))
    rotation = scipy.linalg.orthogonal_procrustes(wide_x, wide_y)[0][:p, :q].T
    fitted = algebra.direct_matching(X, Y, family="orthogonal")
    scale = np.linalg.norm(fitted.W, 2)
    np.testing.assert_allclose(fitted.W / scale, rotation, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        rotation @ rotation.T if q < p else rotation.T @ rotation, np.eye(min(p, q)), atol=1e-12
    )
    if p <= q:
        disparity = scipy.spatial.procrustes(wide_x, wide_y)[2]
        assert 1.0 - fitted.r2(X, Y) == pytest.approx(disparity, rel=TIGHT)
        assert fitted.r2(X, Y) == pytest.approx(np.cos(algebra.procrustes_angle(X, Y)) ** 2, rel=TIGHT)
    assert fitted.rank == min(p, q)
    values = np.linalg.svd(X.T @ Y, compute_uv=False)
    assert fitted.condition == pytest.approx(values[0] / values[min(p, q) - 1], rel=1e-8)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_low_rank_against_scikit_learns_regression_and_principal_components(pair, rank):
    X, Y = PAIRS[pair]
    predicted = LinearRegression().fit(X[TRAIN], Y[TRAIN])
    components = PCA(n_components=rank, svd_solver="full").fit(predicted.predict(X[TRAIN]))
    theirs = components.inverse_transform(components.transform(predicted.predict(X[TEST])))
    fitted = algebra.direct_matching(X[TRAIN], Y[TRAIN], family="low_rank", parameter=rank)
    np.testing.assert_allclose(fitted.predict(X[TEST]), theirs, rtol=0, atol=1e-9 * np.abs(theirs).max())
    assert np.linalg.matrix_rank(fitted.W, tol=1e-10 * np.linalg.norm(fitted.W, 2)) == rank == fitted.rank


@given(seed=st.integers(0, 10_000), rank=st.integers(1, 4), p=st.integers(2, 7), q=st.integers(2, 7))
def test_no_other_map_of_the_family_does_better_where_it_was_fitted(seed, rank, p, q):
    """Optimality by perturbation: each family's own moves raise its own objective."""
    rng = np.random.default_rng(seed)
    X, Y = related(n=60, p=p, q=q, seed=seed)
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)

    def loss(W, penalty=0.0):
        return np.sum((X @ W.T - Y) ** 2) + penalty * np.sum(W**2)

    step = 1e-3 * rng.standard_normal((q, p))
    ridge = algebra.direct_matching(X, Y, family="ridge", parameter=0.1).W
    assert loss(ridge, 0.1 * np.sum(X**2)) <= loss(ridge + step, 0.1 * np.sum(X**2))
    low = algebra.direct_matching(X, Y, family="low_rank", parameter=rank).W
    left, right = (
        scipy.linalg.expm(1e-3 * rng.standard_normal((q, q))),
        np.eye(p) + 1e-3 * rng.standard_normal((p, p)),
    )
    assert loss(low) <= loss(left @ low @ right) * (1 + 1e-12)
    turn = orthogonal_step(rng, q), orthogonal_step(rng, p)
    turned = algebra.direct_matching(X, Y, family="orthogonal").W
    if p == q:
        assert loss(turned) <= loss(turn[0] @ turned @ turn[1]) * (1 + 1e-12)
    assert loss(turned) <= loss(1.001 * turned) * (1 + 1e-12)


def orthogonal_step(rng, width):
    skew = 1e-2 * rng.standard_normal((width, width))
    return scipy.linalg.expm(skew - skew.T)


def test_a_similarity_transformation_is_recovered():
    X = conditioned(100, 6, 3.0, 0)
    Q = orthogonal(6, 1)
    fitted = algebra.direct_matching(X, 2.5 * X @ Q.T + 1.0, family="orthogonal")
    np.testing.assert_allclose(fitted.W, 2.5 * Q, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fitted.b, np.ones(6), rtol=0, atol=1e-11)


@pytest.mark.parametrize("family", ["affine", "ridge", "orthogonal", "low_rank"])
def test_a_layer_with_itself(family):
    X = conditioned(200, 6, 10.0, 2)
    fitted = algebra.direct_matching(X, X, family=family, parameter={"ridge": 1e-9}.get(family))
    np.testing.assert_allclose(fitted.W, np.eye(6), rtol=0, atol=1e-6 if family == "ridge" else 1e-11)


def test_the_limits_of_every_family_are_the_affine_map():
    X, Y = PAIRS["wider source"]
    affine = algebra.direct_matching(X, Y)
    for family, parameter in (("ridge", 1e-15), ("low_rank", 9), ("low_rank", 500)):
        fitted = algebra.direct_matching(X, Y, family=family, parameter=parameter)
        np.testing.assert_allclose(fitted.W, affine.W, rtol=0, atol=1e-11)
    assert algebra.direct_matching(X, Y, family="ridge", parameter=1e12).r2(X, Y) == pytest.approx(
        0.0, abs=1e-9
    )


def test_closed_case_of_orthogonal_columns():
    """Hadamard columns, 3 and 5 with 2 in common."""
    H = scipy.linalg.hadamard(16).astype(float)[:, 1:]
    X, Y = H[:, :3], H[:, 1:6]
    kept = (1 / 3) / (1 / 3 + 0.2)
    pair = PairMoments.from_rows(X, Y)
    expected = {
        "dm_ridge_r2(0.2)": 1 - (2 * (1 - kept) ** 2 + 3) / 5,
        "dm_ridge_struct(0.2)": (2 * (1 - kept) ** 2 + 3) / 5,
        "dm_orthogonal_r2": 2 / 5,
        "dm_orthogonal_struct": 3 / 5,
        "dm_low_rank_r2(1)": 1 / 5,
        "dm_low_rank_r2(2)": 2 / 5,
        "dm_low_rank_struct": 3 / 5,
    }
    for name, value in expected.items():
        assert algebra.evaluate(name, pair, train=pair).value == pytest.approx(value, rel=1e-14)
    assert algebra.fit_orthogonal(pair).rank == 2


@pytest.mark.parametrize("family", ["ridge", "orthogonal", "low_rank"])
@pytest.mark.parametrize(("p", "q"), [(60, 4), (60, 80), (4, 80)])
def test_fewer_rows_than_features(family, p, q):
    """Coordinates of the rows' own space give the map that the moments of all features give."""
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((25, p)) + 1.0, rng.standard_normal((25, q))
    by_rows = algebra.direct_matching(X, Y, family=family)
    by_moments = algebra.fit_map(family, PairMoments.from_rows(X, Y))
    assert by_rows.rank == by_moments.rank
    np.testing.assert_allclose(by_rows.W, by_moments.W, rtol=0, atol=1e-11)


@pytest.mark.parametrize("family", ["affine", "ridge", "orthogonal", "low_rank"])
def test_constant_dead_and_duplicate_columns(family):
    X, Y = related(n=80, p=6, q=5)
    constant = np.full((80, 4), 0.3)
    for source, target in ((constant, Y), (constant, constant)):
        fitted = algebra.direct_matching(source, target, family=family)
        assert (fitted.rank, fitted.condition) == (0, 1.0)
        assert not fitted.W.any()
        np.testing.assert_allclose(fitted.b, target.mean(axis=0), rtol=1e-14)
    dead = np.column_stack([X, np.zeros(80), np.full(80, 0.1)])
    fitted, plain = (algebra.direct_matching(rows, Y, family=family) for rows in (dead, X))
    np.testing.assert_allclose(fitted.W[:, 6:], 0.0, atol=1e-12)
    np.testing.assert_allclose(fitted.W[:, :6], plain.W, rtol=0, atol=1e-11)
    assert fitted.rank == plain.rank
    doubled = np.column_stack([X, X])
    assert np.isfinite(algebra.direct_matching(doubled, Y, family=family).W).all()


@pytest.mark.parametrize("family", ["ridge", "orthogonal", "low_rank"])
def test_directions_below_the_storage_precision_are_not_used(family):
    base = conditioned(500, 4, 3.0, 6, mean=5.0)
    X = np.column_stack([base, base[:, 0] + base[:, 1]]).astype(np.float32)
    Y = np.random.default_rng(7).standard_normal((500, 5))
    options = {"family": family, "parameter": 500 if family == "low_rank" else None}
    stored = algebra.direct_matching(X, Y, **options)
    exact = algebra.direct_matching(X.astype(np.float64), Y, **options)
    assert (stored.rank, exact.rank) == (4, 5)
    told = algebra.direct_matching(X.astype(np.float64), Y, storage_eps=2.0**-23, **options)
    np.testing.assert_allclose(told.W, stored.W, rtol=0, atol=1e-13)


def test_an_unknown_family_is_refused():
    with pytest.raises(UnknownNameError, match="affine, ridge, orthogonal, low_rank"):
        algebra.direct_matching(*related(), family="sparse")
