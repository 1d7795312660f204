"""Rows that a map is scored on, in the coordinates of the rows that it was fitted on."""

from __future__ import annotations

from math import sqrt

from stitchpipe.algebra.inputs import Array, Namespace, namespace
from stitchpipe.algebra.moments.rows import CentredRows
from stitchpipe.algebra.spectrum import Neurons


def in_coordinates_of(fitted: CentredRows, scored: CentredRows) -> tuple[CentredRows, CentredRows]:
    """Return narrowed rows with one more column, and other rows over the same neurons in the same coordinates.

    A map fitted on narrowed rows reads nothing of a source outside of their coordinates, and predicts the mean of the
    target there. So one column is enough for all of it: of its variance and of its mean the residual and the totals are
    made, and with no other column does it have a product that counts. Time O(n·p·r), memory O(n·p).

    Parameters
    ----------
    fitted
        What `CentredRows.narrowed` returned, r coordinates wide.
    scored
        ``[n, p]``, over the neurons.
    """
    neurons = fitted.neurons
    if neurons is None:
        return fitted, scored
    xp = namespace(scored.centred)
    rows = xp.astype(scored.centred, xp.float64, copy=False) * scored.unit
    step = scored.mean - neurons.mean
    within, step_within = rows @ neurons.basis, step @ neurons.basis
    outside = rows - within @ neurons.basis.T
    step_outside = step - neurons.basis @ step_within
    beside = _spread(xp, sqrt(float(xp.sum(xp.linalg.vecdot(outside, outside)))), within[:, :1])
    mean = _longer(xp, fitted.mean + step_within, float(xp.linalg.vector_norm(step_outside)))
    nothing = xp.zeros_like(fitted.centred[:, :1])
    coordinates = xp.concat([fitted.centred, nothing], axis=1)
    return (
        CentredRows(
            _longer(xp, fitted.mean, 0.0),
            coordinates,
            neurons=Neurons(neurons.mean, neurons.rows, coordinates),
        ),
        CentredRows(mean, xp.concat([within, beside], axis=1)),
    )


def _spread(xp: Namespace, norm: float, like: Array) -> Array:
    """Return a column that sums to 0 and has that norm."""
    column = xp.zeros_like(like)
    if column.shape[0] > 1:
        column[0, 0], column[1, 0] = norm / sqrt(2.0), -norm / sqrt(2.0)
    return column


def _longer(xp: Namespace, vector: Array, last: float) -> Array:
    return xp.concat([vector, xp.full((1,), last, dtype=vector.dtype, device=vector.device)])
