"""From a distance to two scores: of pooled images, and of single positions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from stitchpipe.measures import Measure, Number
from stitchpipe.ood.score import NO_POSITIONS, Fitted, Native, Score, Stitched

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.ood.native_rows import Distance, NativeRows
    from stitchpipe.ood.observation import Observation
    from stitchpipe.rows import Float64

    FitDistance: TypeAlias = Callable[[NativeRows, int], Distance | Number]
    Look: TypeAlias = Callable[[Observation], Float64 | None]


def positional(measure: Measure) -> Measure:
    """Return the measure of single positions that goes with one of pooled images."""
    return replace(
        measure,
        name=f"{measure.name}_positional",
        label=f"positional {measure.label}",
        meaning=f"{measure.meaning} Of single positions instead of means over positions.",
    )


def distance_scores(measure: Measure, fit_distance: FitDistance) -> tuple[Score, Score]:
    """Return how well a distance tells stitched images from native ones, by pooled features and by single positions.

    Parameters
    ----------
    measure
        Of pooled images.
    fit_distance
        From native rows and the number of neighbours to a distance of rows, or why there is none.
    """
    return (
        Score(measure=measure, fit=lambda native: _fitted(native, native.images, fit_distance, _images)),
        Score(
            measure=positional(measure),
            fit=lambda native: _fitted(native, native.positions, fit_distance, _positions),
        ),
    )


def _fitted(native: Native, rows: NativeRows | None, fit_distance: FitDistance, look: Look) -> Fitted:
    """Fit a distance to some of the native rows; `look` takes the same rows of a stitch."""
    if rows is None:
        return lambda _: NO_POSITIONS
    distance = rows.unfit or fit_distance(rows, native.neighbours)
    if isinstance(distance, Number):
        missing = distance
        return lambda _: missing
    score_of = rows.told_by(distance)

    def score(stitched: Stitched) -> Number:
        seen = look(stitched.observed)
        return NO_POSITIONS if seen is None else score_of(seen)

    return score


def _images(observed: Observation) -> Float64 | None:
    return observed.images


def _positions(observed: Observation) -> Float64 | None:
    return observed.positions
