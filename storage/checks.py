"""What activations must satisfy before they are stored: shape, finiteness, range of the storage dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from storage.errors import LayoutError, NonFiniteError, RangeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from storage.schema import LayerSpec


def checked_block(
    layer: str, spec: LayerSpec, block: npt.NDArray[Any], *, row_group: int, sample_ids: Sequence[str]
) -> npt.NDArray[Any]:
    """Return `block`, one whole row group of a layer, in its storage dtype.

    Parameters
    ----------
    layer, spec
        Which layer, and one sample's shape and dtype.
    block
        ``(rows of the row group, *spec.shape)``, any floating dtype.
    row_group, sample_ids
        Which row group, and the ids of its rows.

    Raises
    ------
    LayoutError
        Not a whole row group, samples of another shape, or not floating point.
    NonFiniteError
        NaN or infinity.
    RangeError
        A finite value that the storage dtype would make infinite.

    Notes
    -----
    Two passes over the block; a copy only where the dtype changes.
    """
    wanted = (len(sample_ids), *spec.shape)
    if block.shape != wanted or block.dtype.kind != "f":
        raise LayoutError(
            where=f"layer {layer!r}, row group {row_group}",
            expected=f"{wanted[0]} rows (the whole row group) as floating point of shape {wanted}",
            found=f"{block.shape[0] if block.ndim else 0} rows: {block.dtype} of shape {block.shape}",
            remedy="Collect batches until the row group is complete; a shard is never written in parts.",
        )
    _demand_finite(layer, block, row_group=row_group, sample_ids=sample_ids)
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(block, dtype=spec.dtype)
    if stored.dtype.itemsize < block.dtype.itemsize and not _all_finite(stored):
        row = int(np.argmax(~np.isfinite(stored).reshape(len(stored), -1).all(axis=1)))
        values = block[row].reshape(-1)
        raise RangeError(
            layer=layer,
            sample_id=sample_ids[row],
            value=float(values[np.abs(values).argmax()]),
            dtype=spec.dtype,
            limit=float(np.finfo(spec.dtype).max),
        )
    return stored


def _demand_finite(layer: str, block: npt.NDArray[Any], *, row_group: int, sample_ids: Sequence[str]) -> None:
    """Refuse NaN and infinity."""
    if not _all_finite(block):
        bad = ~np.isfinite(block)
        row = int(np.argmax(bad.reshape(len(block), -1).any(axis=1)))
        raise NonFiniteError(
            layer=layer, sample_id=sample_ids[row], count=int(bad.sum()), row_group=row_group
        )


def absmax(block: npt.NDArray[Any]) -> float:
    """Return the largest magnitude in a block, without a copy of it."""
    return max(float(block.max()), -float(block.min()))


def _all_finite(block: npt.NDArray[Any]) -> bool:
    """Return whether all values are finite, without a copy: NaN and infinity reach the least or the largest."""
    return bool(np.isfinite(block.min()) and np.isfinite(block.max()))


def same_but_for_rounding(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    """Return whether two blocks could come from one network run twice: within 1 % of the largest value.

    Kernels, threads and devices change the last bits (TF32: 1e-3 of the largest value); other weights, images
    or an other order of rows change everything. NaN, such as a missing chunk reads as, is never the same.
    """
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return False
    scale = absmax(wanted)
    difference = np.abs(found.astype(np.float32) - wanted.astype(np.float32))
    return bool((difference <= 0.01 * scale).all())
