"""The effective rank: the exponential of the entropy of a layer's singular values."""

from __future__ import annotations

from math import exp, inf
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.layer_measure import LayerContents, LayerMeasure, LayerValue
from stitchpipe.algebra.layers.eigenvalues import retained_eigenvalues
from stitchpipe.algebra.spectrum import EPS64
from stitchpipe.measures import Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import Moments


def effective_rank(moments: Moments, *, storage_eps: float = EPS64) -> float:
    """Return exp(−Σ s·ln s) with s = σ/Σσ the shares of the singular values of the centred rows, from 1 to their rank.

    Singular values and not eigenvalues, as it was proposed: small directions weigh more than in the participation
    ratio. Directions that do not exceed rounding, of moments or of storage, do not count.

    Raises
    ------
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row.

    Notes
    -----
    Time O(p³). A direction at the cut-off has a share of √eps of the largest. Roy and Vetterli 2007.
    """
    sizes = np.sqrt(retained_eigenvalues(moments, storage_eps, "effective_rank"))
    shares = sizes / sizes.sum()
    return exp(-float(shares @ np.log(shares)))


def _of_layer(contents: LayerContents, _: Measure) -> LayerValue:
    return LayerValue(effective_rank(contents.moments, storage_eps=contents.storage_eps))


EFFECTIVE_RANK = LayerMeasure(
    Measure(
        name="effective_rank",
        label="Effective rank",
        meaning="Exponential of the entropy of the singular values of the centred rows, as shares of their sum. At "
        "most the number of images less one.",
        kind="layer",
        computed_from="moments",
        range=(1.0, inf),
        larger_is_more_similar=None,
        unit="directions",
        cost="O(p³)",
        literature="Roy and Vetterli 2007",
    ),
    _of_layer,
)
