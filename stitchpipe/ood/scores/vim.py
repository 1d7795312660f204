"""Length outside the subspace in which native rows vary most: the residual of ViM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure, Number
from stitchpipe.ood.scores.distances import distance_scores
from stitchpipe.ood.standardiser import EPS

if TYPE_CHECKING:
    from stitchpipe.ood.native_rows import NativeRows
    from stitchpipe.rows import Float64


ACTIVATION_EPS = float(np.finfo(np.float32).eps)
"""Relative rounding of what networks give."""
NO_RESIDUAL = Number.missing(
    "not_applicable", "a single feature leaves no directions beside the principal ones"
)


def principal_dimension(width: int) -> int:
    """Return of how many directions the principal subspace is made, 0 for a single feature.

    Wang et al. (2022) take 1,000 of 2,048 features and 512 of 768; narrower layers, which they do not have, are halved.
    """
    return 1000 if width >= 2048 else 512 if width >= 768 else width // 2


class ResidualNorm:
    """Length of a row outside the principal subspace of training rows: the residual of ViM (Wang et al. 2022).

    r(x) = ‖(I − VᵀV)(x − μ)‖ with V ``[D, q]`` the principal directions of training rows about their mean μ and D of
    `principal_dimension`, fewer where the rows span fewer. ViM's origin and its logit come from the last layer's
    weights, which other layers do not have: the mean stands for the origin, and the residual alone is the score.
    Lengths below √q·eps32·‖x − μ‖ are the rounding of activations, and count as 0.

    Fitting costs O(n·q² + q³), a call O(n·q·D).

    Parameters
    ----------
    rows
        ``[n, q]``, n and q at least 2.
    """

    def __init__(self, rows: Float64) -> None:
        from sklearn.decomposition import PCA  # noqa: PLC0415 - a second that listing measures should not cost

        count = min(principal_dimension(rows.shape[1]), len(rows) - 1)
        # With more rows than features the covariance is the smaller matrix; otherwise rows are decomposed as they are.
        solver = "covariance_eigh" if len(rows) >= rows.shape[1] else "full"
        fitted = PCA(n_components=count, svd_solver=solver).fit(rows)
        scale = np.asarray(fitted.explained_variance_)
        # Directions that the training rows do not span are rounding, and would hide what lies outside.
        spanned = scale > scale[0] * max(rows.shape) * EPS
        self._mean, self._directions = fitted.mean_, fitted.components_[spanned]

    def __call__(self, rows: Float64) -> Float64:
        """Return the length of every row's residual, ``[n]``."""
        centred = rows - self._mean
        outside = centred - centred @ self._directions.T @ self._directions
        length, whole = np.linalg.norm(outside, axis=1), np.linalg.norm(centred, axis=1)
        rounding = np.sqrt(rows.shape[1]) * ACTIVATION_EPS * whole
        return np.asarray(np.where(length > rounding, length, 0.0), dtype=np.float64)


def _fitted(rows: NativeRows, _: int) -> ResidualNorm | Number:
    return ResidualNorm(rows.known) if rows.known.shape[1] > 1 else NO_RESIDUAL


VIM, VIM_POSITIONAL = distance_scores(
    Measure(
        name="ood_vim",
        label="ViM residual",
        meaning="How well the length outside the subspace in which the target layer's own training images vary most "
        "tells stitched from native test images: |2·AUROC − 1|, 0 not at all, 1 perfectly, in either direction.",
        kind="ood",
        computed_from="stitched_rows",
        range=(0.0, 1.0),
        larger_is_more_similar=False,
        cost="O(n·q² + q³) for a target, O(n·q·D) for a stitch",
        literature="Wang et al. 2022",
    ),
    _fitted,
)
