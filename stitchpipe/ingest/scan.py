"""The scan: all rows are read once before any is stored, to check that each can be and to form the digest of all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.ingest.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from stitchpipe.ingest.columns import Column

BLOCK_BYTES = 1 << 24
"""How much of a layer is in memory at a time, in the dtype of the file."""


@dataclass
class _Refused:
    """Values that cannot be stored: how many, and the first."""

    count: int = 0
    row: int = -1
    value: float = 0.0

    def add(self, block: npt.NDArray[np.floating], bad: npt.NDArray[np.bool_], start: int) -> None:
        flat = bad.reshape(len(bad), -1)
        if not self.count:
            row = int(flat.any(axis=1).argmax())
            self.row, self.value = start + row, float(block.reshape(len(bad), -1)[row][flat[row]][0])
        self.count += int(flat.sum())


def scan(
    column: Column,
    dtype: str,
    *,
    ids: Sequence[str],
    order: npt.NDArray[np.int64],
    report: Callable[[int], None],
) -> str:
    """Return the digest, in hex, of a layer as it will be stored: dtype, shape, and the rows in `order`.

    It depends neither on the kind of file nor on the order of its rows.

    Parameters
    ----------
    ids
        Of the rows, in the order of the file.
    order
        Row of the file of each stored row.
    report
        Called with the number of rows read since.

    Raises
    ------
    IngestError
        NaN, infinity, or values beyond the range of `dtype`: says how many, and the first sample.

    Notes
    -----
    One sequential read, SHA-256 of every row; memory: `BLOCK_BYTES`, and 32 bytes a row.
    """
    digests = np.empty((column.n_rows, 32), dtype=np.uint8)
    infinite, too_large = _Refused(), _Refused()
    step = max(1, BLOCK_BYTES // column.row_bytes)
    for start in range(0, column.n_rows, step):
        block = column.read(slice(start, start + step))
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(block, dtype=np.dtype(dtype).newbyteorder("<"))
        if not np.isfinite(stored).all():
            finite = np.isfinite(block)
            if not finite.all():
                infinite.add(block, ~finite, start)
            if (beyond := finite & ~np.isfinite(stored)).any():
                too_large.add(block, beyond, start)
        rows = stored.reshape(len(stored), -1).view(np.uint8)
        for row, values in enumerate(rows, start=start):
            digests[row] = np.frombuffer(hashlib.sha256(values.data).digest(), np.uint8)
        report(len(block))
    _refuse(column, dtype, infinite, too_large, ids)
    whole = hashlib.sha256(f"{np.dtype(dtype).name}{column.shape}\0".encode())
    whole.update(digests[order].data)
    return whole.hexdigest()


def _refuse(column: Column, dtype: str, infinite: _Refused, too_large: _Refused, ids: Sequence[str]) -> None:
    if infinite.count:
        raise IngestError(
            where=column.label,
            expected="finite activations",
            found=f"{infinite.count} NaN or infinite values, the first in sample '{ids[infinite.row]}' "
            f"(row {infinite.row})",
            remedy="Look at this sample and at the network's numerics; nothing was stored.",
        )
    if too_large.count:
        other = "Leave out --dtype float16" if dtype == "float16" else "Rescale the layer"
        raise IngestError(
            where=column.label,
            expected=f"values within ±{float(np.finfo(dtype).max):g} for storage as {dtype}",
            found=f"{too_large.count} beyond, the first {too_large.value:g} in sample '{ids[too_large.row]}' "
            f"(row {too_large.row})",
            remedy=f"{other}; nothing was stored.",
        )
