"""The participation ratio: over how many directions the variance of a layer is spread."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from stitchpipe.algebra.guards import variation
from stitchpipe.algebra.layer_measure import LayerContents, LayerMeasure, LayerValue
from stitchpipe.measures import Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.moments import Moments


def participation_ratio(moments: Moments) -> float:
    """Return (Σλ)²/Σλ² of the eigenvalues λ of the covariance, from 1 to its rank.

    Raises
    ------
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row.

    Notes
    -----
    Time O(p²): it is (tr C)²/‖C‖²_F, and nothing is decomposed. Error a few eps. Gao et al. 2017.
    """
    variation(moments, index="participation_ratio", side="layer")
    return 1.0 / moments.inverse_participation


def _of_layer(contents: LayerContents, _: Measure) -> LayerValue:
    return LayerValue(participation_ratio(contents.moments))


PARTICIPATION_RATIO = LayerMeasure(
    Measure(
        name="participation_ratio",
        label="Participation ratio",
        meaning="(Σλ)²/Σλ² of the eigenvalues of the covariance: the number of directions of equal variance that would "
        "be spread as much. At most the number of images less one, and too small where that is not far above it.",
        kind="layer",
        computed_from="moments",
        range=(1.0, inf),
        larger_is_more_similar=None,
        unit="directions",
        cost="O(p²)",
        literature="Gao et al. 2017",
    ),
    _of_layer,
)
