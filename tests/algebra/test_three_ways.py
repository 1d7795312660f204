"""Every index pinned to the oracle, to an independent library, and to closed cases, in float64."""

import numpy as np
import pytest
import scipy.linalg
import scipy.spatial
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import linear_kernel
from sklearn.preprocessing import KernelCenterer

from stitchpipe import algebra
from tests import oracles
from tests.algebra.cases import conditioned, orthogonal, related

TIGHT = 1e-10
ORACLES = {
    "cka": oracles.cka,
    "cka_biased": lambda X, Y: oracles.cka(X, Y, hsic=oracles.hsic_biased),
    "cca": oracles.cca,
    "cca_sq": oracles.cca_sq,
    "svcca": oracles.svcca,
    "pwcca": oracles.pwcca,
    "procrustes": oracles.procrustes,
    "procrustes_angle": oracles.procrustes_angle,
}
FUNCTIONS = {
    "cka": algebra.cka,
    "cka_biased": lambda X, Y: algebra.cka(X, Y, debiased=False),
    "cca": algebra.cca,
    "cca_sq": algebra.cca_sq,
    "svcca": algebra.svcca,
    "pwcca": algebra.pwcca,
    "procrustes": algebra.procrustes,
    "procrustes_angle": algebra.procrustes_angle,
}
PAIRS = {
    "wider source": related(n=120, p=12, q=9, seed=0),
    "wider target": related(n=120, p=5, q=14, seed=10),
    "equal widths": related(n=90, p=8, q=8, seed=20),
    "unrelated": (conditioned(100, 7, 4.0, 30), conditioned(100, 6, 4.0, 40)),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", ORACLES)
def test_index_is_the_oracles(name, pair):
    X, Y = PAIRS[pair]
    expected = ORACLES[name](X, Y)
    assert FUNCTIONS[name](X, Y) == pytest.approx(expected, rel=TIGHT)
    value = algebra.evaluate(name, algebra.PairMoments.from_rows(X, Y)).value
    assert value == pytest.approx(expected, rel=TIGHT)


@pytest.mark.parametrize("name", ["cka", "cka_biased", "procrustes", "procrustes_angle"])
@pytest.mark.parametrize(("p", "q"), [(300, 200), (300, 7), (7, 300)])
def test_rows_wider_than_there_are_samples(name, p, q):
    rng = np.random.default_rng(p + q)
    shared = rng.standard_normal((20, 3))
    X, Y = (shared @ rng.standard_normal((3, w)) + rng.standard_normal((20, w)) + 1.0 for w in (p, q))
    expected = ORACLES[name](X, Y)
    assert FUNCTIONS[name](X, Y) == pytest.approx(expected, rel=TIGHT)
    # The moments of width p say the same, at more cost.
    value = algebra.evaluate(name, algebra.PairMoments.from_rows(X, Y)).value
    assert value == pytest.approx(expected, rel=TIGHT)


@pytest.mark.parametrize("pair", PAIRS)
def test_cka_against_scikit_learns_kernels(pair):
    X, Y = PAIRS[pair]
    K, L = (KernelCenterer().fit_transform(linear_kernel(rows)) for rows in (X, Y))
    expected = (K * L).sum() / (np.linalg.norm(K) * np.linalg.norm(L))
    assert algebra.cka(X, Y, debiased=False) == pytest.approx(expected, rel=TIGHT)


@pytest.mark.parametrize("pair", PAIRS)
def test_debiased_cka_against_the_form_of_song(pair):
    """No library here has the unbiased estimator: another definition, on scikit-learn's kernel, serves."""
    X, Y = PAIRS[pair]
    K, L = linear_kernel(X), linear_kernel(Y)
    own = np.sqrt(oracles.hsic_song(K, K) * oracles.hsic_song(L, L))
    assert algebra.cka(X, Y) == pytest.approx(oracles.hsic_song(K, L) / own, rel=TIGHT)


@pytest.mark.parametrize("pair", PAIRS)
def test_cca_against_scipys_principal_angles(pair):
    X, Y = PAIRS[pair]
    cosines = np.cos(scipy.linalg.subspace_angles(X - X.mean(0), Y - Y.mean(0)))
    assert algebra.cca(X, Y) == pytest.approx(cosines.mean(), rel=TIGHT)
    assert algebra.cca_sq(X, Y) == pytest.approx((cosines**2).mean(), rel=TIGHT)


def correlations_by_scikit_learn(X, Y):
    """Canonical correlations by deflation; its default tolerance of 1e-6 would be seen here."""
    components = min(X.shape[1], Y.shape[1])
    scores = CCA(n_components=components, tol=1e-14, max_iter=100_000).fit(X, Y).transform(X, Y)
    return [np.corrcoef(a, b)[0, 1] for a, b in zip(scores[0].T, scores[1].T, strict=True)], scores[0]


def separated():
    """A pair with well separated canonical correlations, on which the power iteration converges."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((80, 4))
    Y = np.column_stack([X[:, 0] + 0.2 * rng.standard_normal(80), X[:, 1] + 1.2 * rng.standard_normal(80)])
    Y = np.column_stack([Y, X[:, 2] + 4.0 * rng.standard_normal(80)])
    return X @ orthogonal(4, 1) + 2.0, Y @ orthogonal(3, 2) - 1.0


def test_cca_against_scikit_learns_cca():
    X, Y = separated()
    rho, _ = correlations_by_scikit_learn(X, Y)
    assert algebra.cca(X, Y) == pytest.approx(np.mean(rho), rel=1e-9)
    assert algebra.cca_sq(X, Y) == pytest.approx(np.mean(np.square(rho)), rel=1e-9)


def test_svcca_against_scikit_learns_pca_and_cca():
    X, Y = separated()
    X = np.column_stack([X, 1e-3 * np.random.default_rng(6).standard_normal((80, 2))])
    kept_x, kept_y = (PCA(n_components=0.99, svd_solver="full").fit_transform(rows) for rows in (X, Y))
    assert kept_x.shape[1] == 4
    rho, _ = correlations_by_scikit_learn(kept_x, kept_y)
    assert algebra.svcca(X, Y) == pytest.approx(np.mean(rho), rel=1e-9)
    assert algebra.cca(X, Y) != pytest.approx(np.mean(rho), rel=1e-3)


def test_pwcca_against_scikit_learns_cca():
    X, Y = separated()
    rho, variates = correlations_by_scikit_learn(X, Y)
    unit = variates / np.linalg.norm(variates, axis=0)
    weights = np.abs(unit.T @ (X - X.mean(axis=0))).sum(axis=1)
    assert algebra.pwcca(X, Y) == pytest.approx(np.average(rho, weights=weights), rel=1e-8)


def test_procrustes_against_scipy():
    X, Y = PAIRS["equal widths"]
    X0, Y0 = ((rows - rows.mean(0)) / np.linalg.norm(rows - rows.mean(0)) for rows in (X, Y))
    rotation, nuclear = scipy.linalg.orthogonal_procrustes(X0, Y0)
    assert algebra.procrustes(X, Y) == pytest.approx(2 - 2 * nuclear, rel=TIGHT)
    assert algebra.procrustes(X, Y) == pytest.approx(np.linalg.norm(X0 @ rotation - Y0) ** 2, rel=TIGHT)
    # scipy.spatial also optimises the scale: its disparity is sin² of the angle.
    disparity = scipy.spatial.procrustes(X, Y)[2]
    assert np.sin(algebra.procrustes_angle(X, Y)) ** 2 == pytest.approx(disparity, rel=TIGHT)


@pytest.mark.parametrize("pair", PAIRS)
def test_direct_matching_against_oracle_numpy_and_scikit_learn(pair):
    X, Y = PAIRS[pair]
    train, test = slice(None, 60), slice(60, None)
    fitted = algebra.direct_matching(X[train], Y[train])
    W, b = oracles.direct_matching(X[train], Y[train])
    np.testing.assert_allclose(fitted.W, W, rtol=0, atol=TIGHT * np.abs(W).max())
    np.testing.assert_allclose(fitted.b, b, rtol=0, atol=TIGHT * np.abs(b).max())
    design = np.column_stack([X[train], np.ones(60)])
    np.testing.assert_allclose(
        np.column_stack([fitted.W, fitted.b]),
        np.linalg.lstsq(design, Y[train], rcond=None)[0].T,
        rtol=0,
        atol=TIGHT * np.abs(b).max(),
    )
    theirs = LinearRegression().fit(X[train], Y[train])
    expected = r2_score(Y[test], theirs.predict(X[test]), multioutput="variance_weighted")
    moments = algebra.PairMoments.from_rows(X[test], Y[test])
    for r2 in (fitted.r2(X[test], Y[test]), fitted.r2_from_moments(moments)):
        assert r2 == pytest.approx(expected, rel=TIGHT)
        assert r2 == pytest.approx(oracles.dm_r2(W, b, X[test], Y[test]), rel=TIGHT)
    error = oracles.dm_struct(W, b, X[test], Y[test])
    assert fitted.struct_error(X[test], Y[test]) == pytest.approx(error, rel=TIGHT)
    assert fitted.struct_error_from_moments(moments) == pytest.approx(error, rel=TIGHT)
    analysis = algebra.Analysis(moments, train=algebra.PairMoments.from_rows(X[train], Y[train]))
    assert algebra.evaluate("dm_r2", analysis).value == fitted.r2_from_moments(moments)
    assert algebra.evaluate("dm_struct", analysis).value == fitted.struct_error_from_moments(moments)
    assert fitted.rank == X.shape[1]
    assert fitted.condition == pytest.approx(np.linalg.cond(X[train] - X[train].mean(axis=0)), rel=TIGHT)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_representation_with_itself(name):
    X = conditioned(100, 8, 10.0, 50)
    same = 1.0 if algebra.INDICES[name].measure.larger_is_more_similar else 0.0
    tolerance = 1e-7 if name == "procrustes_angle" else 1e-13  # arccos near 1 gives √(2·eps·p)
    assert FUNCTIONS[name](X, X) == pytest.approx(same, abs=tolerance)


def test_closed_case_of_orthogonal_columns():
    """Columns of a Hadamard matrix: orthogonal, centred, of equal norm. k of 3 shared, so all is counting."""
    H = scipy.linalg.hadamard(16).astype(float)[:, 1:]
    X, Y = H[:, :3], H[:, 1:6]  # two columns in common
    assert algebra.cca(X, Y) == pytest.approx(2 / 3, rel=1e-14)
    assert algebra.cca_sq(X, Y) == pytest.approx(2 / 3, rel=1e-14)
    assert algebra.svcca(X, Y) == pytest.approx(2 / 3, rel=1e-14)
    assert algebra.pwcca(X, Y) == pytest.approx(2 / 3, rel=1e-14)
    assert algebra.cka(X, Y, debiased=False) == pytest.approx(2 / np.sqrt(15), rel=1e-14)
    assert algebra.procrustes(X, Y) == pytest.approx(2 - 4 / np.sqrt(15), rel=1e-14)
    fitted = algebra.direct_matching(X, Y)
    assert fitted.r2(X, Y) == pytest.approx(2 / 5, rel=1e-14)
    assert fitted.struct_error(X, Y) == pytest.approx(3 / 5, rel=1e-14)
    # kᵢ = 3 and lᵢ = 5 for all rows; n = 16: each HSIC is ‖·‖² − n/(n−2)·Σkl + Σk·Σl/((n−1)(n−2)).
    n = 16

    def hsic(shared, norm_x, norm_y):
        product = norm_x * norm_y
        return shared * n**2 - n / (n - 2) * n * product + n**2 * product / ((n - 1) * (n - 2))

    expected = hsic(2, 3, 5) / np.sqrt(hsic(3, 3, 3) * hsic(5, 5, 5))
    assert algebra.cka(X, Y) == pytest.approx(expected, rel=1e-13)


def test_debiased_cka_of_noise_is_near_zero_where_the_biased_form_is_near_one():
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((100, 1000)), rng.standard_normal((100, 1000))
    assert algebra.cka(X, Y, debiased=False) > 0.9
    assert abs(algebra.cka(X, Y)) < 0.05
