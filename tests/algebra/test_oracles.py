"""The oracles are independent of the project, and right where the answer is known without them."""

import ast
from pathlib import Path

import numpy as np
import pytest

from tests import oracles, oracles_optimised, oracles_samples


@pytest.mark.parametrize(
    ("module", "libraries"),
    [(oracles, {"numpy"}), (oracles_samples, {"numpy"}), (oracles_optimised, {"numpy", "scipy.optimize"})],
)
def test_oracles_import_nothing_of_ours(module, libraries):
    tree = ast.parse(Path(module.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names == libraries | {"__future__"}


def test_two_forms_of_unbiased_hsic_agree():
    rng = np.random.default_rng(0)
    K, L = (A @ A.T for A in (rng.standard_normal((9, 4)), rng.standard_normal((9, 6))))
    assert oracles.hsic_unbiased(K, L) == pytest.approx(oracles.hsic_song(K, L), rel=1e-12)


def test_unbiased_hsic_averages_to_zero_for_independent_rows_and_the_biased_form_does_not():
    rng = np.random.default_rng(1)
    draws = [(rng.standard_normal((8, 5)), rng.standard_normal((8, 5))) for _ in range(400)]
    unbiased = np.array([oracles.hsic_unbiased(X @ X.T, Y @ Y.T) for X, Y in draws])
    assert abs(unbiased.mean()) < 4 * unbiased.std() / np.sqrt(len(draws))
    assert all(oracles.hsic_biased(X @ X.T, Y @ Y.T) > 0 for X, Y in draws)


def test_canonical_correlations_of_a_plane_at_a_known_angle():
    angle = 0.3
    X = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])[:, :1]
    other = np.array([[0.0], [0], [1], [-1]])
    Y = np.cos(angle) * X + np.sin(angle) * other
    assert oracles.cca(X, Y) == pytest.approx(np.cos(angle), rel=1e-14)
    assert oracles.procrustes(X, Y) == pytest.approx(2 - 2 * np.cos(angle), rel=1e-13)
    assert oracles.procrustes_angle(X, Y) == pytest.approx(angle, rel=1e-13)
