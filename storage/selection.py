"""Which rows were asked for: slices, positions and masks as positions from zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import LayoutError

if TYPE_CHECKING:
    import numpy.typing as npt


def positions(rows: slice | npt.NDArray[Any], n_samples: int, *, where: str) -> npt.NDArray[np.int64]:
    """Return `rows` as positions from 0 to ``n_samples − 1``, in the order asked for.

    Raises
    ------
    LayoutError
        Positions out of range, not whole, or a mask of another length.
    """
    if isinstance(rows, slice):
        return np.arange(*rows.indices(n_samples), dtype=np.int64)
    given = np.asarray(rows)
    if given.dtype == np.bool_ and given.shape == (n_samples,):
        return np.flatnonzero(given).astype(np.int64)
    if given.shape == (0,):
        return np.empty(0, dtype=np.int64)
    whole = given.ndim == 1 and given.dtype.kind in "iu"
    if whole and given.min() >= -n_samples and given.max() < n_samples:
        wanted = given.astype(np.int64)
        return np.where(wanted < 0, wanted + n_samples, wanted)
    span = f", from {given.min()} to {given.max()}" if whole else ""
    raise LayoutError(
        where=where,
        expected=f"a slice, positions within {n_samples} rows, or a mask of that length",
        found=f"{given.dtype} of shape {given.shape}{span}",
        remedy="Positions are those of storage order; split.original_index maps them to the data set's.",
    )
