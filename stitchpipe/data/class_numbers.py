"""Labels as data sets hold them, as class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from stitchpipe.data.images import DataError


def class_numbers(values: Any, count: int, where: str) -> npt.NDArray[np.int64] | None:
    """Return labels as int64 ``[count]``; None where all are negative, as data sets mark images without labels.

    Raises
    ------
    DataError
        Not one whole number per image, or only some are negative.
    """
    given = np.asarray(values)
    if given.shape != (count,):
        raise _misfit(count, where, f"shape {given.shape}")
    if given.dtype.kind not in "iu":
        large = given.dtype.kind == "O" and all(isinstance(value, int) for value in given.tolist())
        raise _misfit(count, where, "numbers beyond 64 bits" if large else f"values of type {given.dtype}")
    if given.dtype.kind == "u" and count > 0 and given.max() > np.iinfo(np.int64).max:
        raise _misfit(count, where, f"{given.max()}, which is beyond 64 bits with a sign")
    labels = given.astype(np.int64)
    negative = labels < 0
    if count > 0 and negative.all():
        return None
    if negative.any():
        raise _misfit(count, where, f"{int(negative.sum())} negative ones")
    return labels


def _misfit(count: int, where: str, found: str) -> DataError:
    return DataError(
        where=where,
        expected=f"{count} labels, one class number from 0 per image",
        found=found,
        remedy="Correct the labels, or leave them out to only dump and compare.",
    )
