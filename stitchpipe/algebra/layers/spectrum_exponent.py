"""The exponent of the eigenspectrum: how fast the variance of a layer falls from direction to direction."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.layer_measure import LayerContents, LayerMeasure, LayerValue
from stitchpipe.algebra.layers.eigenvalues import retained_eigenvalues
from stitchpipe.algebra.spectrum import EPS64
from stitchpipe.measures import Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import Moments

RANKS: Final = (11, 500)
"""The first and the last rank that a line is fitted over, as in the literature."""
FEWEST_RANKS: Final = 10
"""With fewer ranks a slope says more about the single eigenvalues than about a law."""


def spectrum_exponent(moments: Moments, *, storage_eps: float = EPS64) -> tuple[float, int, float]:
    """Return α of λ_k ∝ k^−α, the last rank that was fitted, and the R² of the fit.

    The line is fitted to ln λ_k over ln k by least squares with weights 1/k, so that each octave of ranks counts alike,
    from rank 11 to rank 500 or, where there are fewer directions above rounding, to the last of them.

    Raises
    ------
    UndefinedIndexError
        ``too_few_directions``: fewer than 20; ``constant``, or ``too_few_rows`` for a single row.

    Notes
    -----
    Time O(p³). Of few images the sample spectrum falls faster than the true one. Stringer et al. 2019 fit so, to
    a spectrum cross-validated over repeated presentations, which a network does not need: its noise is none.
    """
    values = retained_eigenvalues(moments, storage_eps, "spectrum_exponent")
    first, last = RANKS[0], min(RANKS[1], len(values))
    if last - first + 1 < FEWEST_RANKS:
        raise UndefinedIndexError(
            status="too_few_directions",
            where="spectrum_exponent",
            expected=f"at least {first + FEWEST_RANKS - 1} directions above rounding",
            found=str(len(values)),
            remedy="Ask for the participation ratio or the effective rank of narrow layers.",
        )
    ranks = np.arange(first, last + 1, dtype=np.float64)
    x, y, weights = np.log(ranks), np.log(values[first - 1 : last]), 1.0 / ranks
    weights /= weights.sum()
    x_off, y_off = x - weights @ x, y - weights @ y
    slope = float((weights * x_off) @ y_off / ((weights * x_off) @ x_off))
    spread = float((weights * y_off) @ y_off)
    left = y_off - slope * x_off
    # A flat spectrum is a law too, with nothing for a line to explain.
    explained = 1.0 - float((weights * left) @ left) / spread if spread > 0.0 else 1.0
    return -slope, last, explained


def _of_layer(contents: LayerContents, _: Measure) -> LayerValue:
    exponent, last, explained = spectrum_exponent(contents.moments, storage_eps=contents.storage_eps)
    return LayerValue(exponent, remark=f"ranks {RANKS[0]} to {last}, R² {explained:.3f}")


SPECTRUM_EXPONENT = LayerMeasure(
    Measure(
        name="spectrum_exponent",
        label="Exponent of the spectrum",
        meaning="α of a power law λ ∝ rank^−α of the covariance's eigenvalues over ranks 11 to 500, or to the last; a "
        "remark says which, and how well it fits. Of images that are not many times the features it is too large.",
        kind="layer",
        computed_from="moments",
        range=(0.0, inf),
        larger_is_more_similar=None,
        cost="O(p³)",
        literature="Stringer et al. 2019",
    ),
    _of_layer,
)
