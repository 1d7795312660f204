"""What activations must satisfy before they are stored: shape, finiteness, range of the storage dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import LayoutError, NonFiniteError, RangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from storage.format import LayerSpec

_HALF_LIMIT = 65520.0
"""From here on float16 rounds to infinity."""


def checked_rows(
    layer: str, spec: LayerSpec, rows: npt.NDArray[Any], *, row_group: int, sample_ids: Sequence[str]
) -> tuple[npt.NDArray[Any], float]:
    """Return some rows of a layer in its storage dtype, C-contiguous, and their largest magnitude.

    Parameters
    ----------
    layer, spec
        Which layer, and one sample's shape and dtype.
    rows
        ``(n, *spec.shape)``, any floating dtype.
    row_group, sample_ids
        Which row group, and the ids of these rows.

    Raises
    ------
    LayoutError
        Another number of rows than of ids, samples of another shape, or not floating point.
    NonFiniteError
        NaN or infinity.
    RangeError
        A finite value that the storage dtype would make infinite.

    Notes
    -----
    One pass over the rows; a copy only where the dtype changes. NumPy casts to float16 at about 1 GB/s: callers with
    a faster cast hand over float16.
    """
    wanted = (len(sample_ids), *spec.shape)
    if rows.shape != wanted or rows.dtype.kind != "f":
        raise LayoutError(
            where=f"layer {layer!r}, row group {row_group}",
            expected=f"{wanted[0]} rows as floating point of shape {wanted}",
            found=f"{rows.shape[0] if rows.ndim else 0} rows: {rows.dtype} of shape {rows.shape}",
            remedy="Hand over the rows of the row group once each, in order; a shard is never written in parts.",
        )
    largest = absmax(rows)
    if not np.isfinite(largest):
        bad = ~np.isfinite(rows)
        row = int(np.argmax(bad.reshape(len(rows), -1).any(axis=1)))
        raise NonFiniteError(
            layer=layer, sample_id=sample_ids[row], count=int(bad.sum()), row_group=row_group
        )
    limit = _HALF_LIMIT if spec.dtype == "float16" else float(np.finfo(spec.dtype).max)
    if largest >= limit and np.dtype(spec.dtype).itemsize < rows.dtype.itemsize:
        row = int(np.argmax(np.abs(rows).reshape(len(rows), -1).max(axis=1) >= limit))
        values = rows[row].reshape(-1)
        raise RangeError(
            layer=layer,
            sample_id=sample_ids[row],
            value=float(values[np.abs(values).argmax()]),
            dtype=spec.dtype,
            limit=float(np.finfo(spec.dtype).max),
        )
    return np.ascontiguousarray(rows, dtype=spec.dtype), largest


def absmax(block: npt.NDArray[Any]) -> float:
    """Return the largest magnitude in a block, without a copy of it; not finite if any value is not.

    float16 is compared by its bits, whose order is that of the magnitudes: a hundred times as fast as by value.
    """
    if block.size == 0:
        return 0.0
    if block.dtype == np.float16:
        bits = np.ascontiguousarray(block).view(np.uint16)
        positive, negative = int(bits.view(np.int16).max()), int(bits.max()) & 0x7FFF
        largest = max(positive, negative if bits.max() > 0x7FFF else 0)
        return float(np.array(largest, dtype=np.uint16).view(np.float16))
    top, bottom = float(block.max()), float(block.min())
    return float("nan") if np.isnan(top) or np.isnan(bottom) else max(top, -bottom)


def same_but_for_rounding(stored: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    """Return whether two blocks could come from one network run twice: within 1 % of the largest value.

    Kernels, threads and devices change the last bits (TF32: 1e-3 of the largest value); other weights, images
    or an other order of rows change everything. NaN, such as a missing chunk reads as, is never the same.
    """
    if stored.shape != wanted.shape or stored.dtype != wanted.dtype:
        return False
    scale = absmax(wanted)
    difference = np.abs(stored.astype(np.float32) - wanted.astype(np.float32))
    return bool((difference <= 0.01 * scale).all())
