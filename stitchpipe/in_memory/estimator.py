"""Direct matching as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted, validate_data

from stitchpipe.algebra import AffineMap, direct_matching

_PRECISIONS = (np.float64, np.float32, np.float16)


class DirectMatching(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """The affine least-squares map of smallest norm from one representation to another, or one of its relatives.

    What `stitchpipe.algebra.direct_matching` computes, for pipelines and cross-validation.

    Parameters
    ----------
    family, parameter
        Which maps are admitted: ``affine``, ``ridge`` (λ), ``orthogonal``, ``low_rank`` (the rank), and their number;
        see `stitchpipe.algebra.fit_map`.
    solver
        ``moments``, or ``tsqr`` for affine maps of float64 rows that are conditioned worse than 1e6.
    storage_eps
        Spacing at 1 of the dtype in which the rows were kept (2⁻²³ for float32): source directions below its
        noise are not used. Default: of the dtype of X at `fit`.

    Attributes
    ----------
    map_ : AffineMap
        The fitted map, ``W [q, p]`` and ``b [q]``.
    coef_, intercept_ : ndarray
        W and b in scikit-learn's shapes: ``[p]`` and a number where y was one-dimensional.
    rank_ : int
        Source directions used.
    condition_ : float
        σ_max/σ_min of the source over them.
    n_features_in_ : int
        p.

    Notes
    -----
    Time O(n·p·min(n, p) + n·p·q). The error grows as eps·cond². Balogh and Jelasity 2025, arXiv 2412.11299.
    """

    def __init__(
        self,
        *,
        family: str = "affine",
        parameter: float | None = None,
        solver: Literal["moments", "tsqr"] = "moments",
        storage_eps: float | None = None,
    ) -> None:
        self.family = family
        self.parameter = parameter
        self.solver = solver
        self.storage_eps = storage_eps

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Fit the map from ``X [n, p]`` to ``y [n, q]`` or ``[n]``. Raises ValueError on unusable arrays."""
        rows, targets = validate_data(
            self, X, y, multi_output=True, y_numeric=True, dtype=_PRECISIONS, ensure_min_samples=2
        )
        targets = np.asarray(targets, dtype=np.float64)
        single = targets.ndim == 1
        fitted = direct_matching(
            rows,
            targets.reshape(len(targets), -1),
            family=self.family,
            parameter=self.parameter,
            solver=self.solver,
            storage_eps=self.storage_eps,
        )
        self.map_: AffineMap = fitted
        self.coef_ = fitted.W[0] if single else fitted.W
        self.intercept_ = float(fitted.b[0]) if single else fitted.b
        self.rank_ = fitted.rank
        self.condition_ = fitted.condition
        return self

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return ``X Wᵀ + b``: ``[n, q]``, or ``[n]`` where y was one-dimensional."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        predicted = self.map_.predict(rows)
        return np.asarray(predicted[:, 0] if self.coef_.ndim == 1 else predicted)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: Any = None) -> float:
        """Return R², variance-weighted over the outputs about the mean of `y`.

        Scikit-learn's own default averages outputs uniformly, so that one nearly constant output can decide.
        """
        predicted = self.predict(X)
        return float(r2_score(y, predicted, sample_weight=sample_weight, multioutput="variance_weighted"))
