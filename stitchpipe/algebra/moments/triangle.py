"""The triangular factor of a tall matrix, without the orthonormal one."""

from __future__ import annotations

import array_api_compat as api
import numpy as np

from stitchpipe.algebra.inputs import Array, namespace


def triangle(matrix: Array) -> Array:
    """Return R of ``matrix = QR``, ``[min(n, p), p]``. Time O(n·p·min(n, p))."""
    # The array API has no way to leave out Q, which takes more than half of the time.
    if api.is_numpy_array(matrix):
        return np.linalg.qr(matrix, mode="r")
    return namespace(matrix).linalg.qr(matrix)[1]
