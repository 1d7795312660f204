"""Column means, and rows without them."""

from __future__ import annotations

from stitchpipe.algebra.inputs import Array, namespace


def centre(rows: Array) -> tuple[Array, Array]:
    """Return the column means and the rows minus them.

    The mean is taken twice, the second time of the residuals: exact for constant columns, and free of the
    rounding that a large mean leaves in a single pass.
    """
    xp = namespace(rows)
    mean = xp.mean(rows, axis=0)
    # The first mean is off by its rounding. The mean of what is left over takes that away.
    mean = mean + xp.mean(rows - mean[None, :], axis=0)
    return mean, rows - mean[None, :]
