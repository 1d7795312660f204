"""The eigenvalues of a layer's comoments that are above rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.guards import variation

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.algebra.moments import Moments


def retained_eigenvalues(moments: Moments, storage_eps: float, measure: str) -> npt.NDArray[np.float64]:
    """Return the eigenvalues above rounding, descending, no more of them than n rows can have directions.

    Raises
    ------
    UndefinedIndexError
        ``constant`` or ``too_few_rows``, as `variation`; ``constant`` also for variation below the noise of storage.
    """
    variation(moments, index=measure, side="layer")
    values = np.asarray(moments.retained(storage_eps).values)[: moments.n - 1]
    if not len(values):
        raise UndefinedIndexError(
            status="constant",
            where=measure,
            expected="variation above the precision it was stored with",
            found=f"none at a storage precision of {storage_eps:.1e}",
            remedy="Store the layer in a wider dtype, or leave it out.",
        )
    return values
