"""Parquet: a list column per layer, read batch by batch into the spool; other columns may be ids or labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stitchpipe.ingest.columns import Column, Contents
from stitchpipe.ingest.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from stitchpipe.ingest.columns import Choice
    from stitchpipe.ingest.spool import Spool

_BATCH_ROWS = 256


def read_parquet(path: Path, choice: Choice, spool: Spool) -> Contents:
    """Read the chosen list columns, nested to any depth or tensors of one shape, and the vectors asked for.

    Raises
    ------
    IngestError
        A null, lists of different lengths, or a damaged file.

    Notes
    -----
    Reads the file once; memory: a row group's columns, compressed, and 256 rows. A store's row groups are random
    subsets, so that reading rows in place would decode the whole file for each of them.
    """
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        layers = [
            field.name for field in file.schema_arrow if _is_list(field.type) and choice.takes(field.name)
        ]
        vectors = [name for name in file.schema_arrow.names if name in choice.vectors]
        key = {name: f"{path}/{name}" for name in layers}
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=layers) if layers else ():
            for name in layers:
                label = f"{path}, column '{name}'"
                spool.append(key[name], _rows(batch.column(name), label), where=label)
        table = file.read(columns=vectors).to_pandas() if vectors else {}
    except pa.ArrowException as error:
        raise OSError(str(error)) from None
    columns = {
        name: Column(name, str(path), spool.rows(key[name])) for name in layers if key[name] in spool.layers
    }
    return Contents(str(path), columns, {name: np.asarray(table[name]) for name in vectors})


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.FixedShapeTensorType) or bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _rows(array: pa.Array, label: str) -> npt.NDArray[Any]:
    """Return some rows of a list column as ``(k, …)``."""
    shape: list[int] = [len(array)]
    if isinstance(array, pa.ExtensionArray):
        if array.type.permutation not in (None, list(range(len(array.type.shape)))):
            raise _refused(label, "a tensor whose axes are permuted", "Write it in the order of its axes.")
        shape, array = [len(array), *array.type.shape], array.storage
        array = _values(array, label)[1]
    while _is_list(array.type):
        width, array = _values(array, label)
        shape.append(width)
    if array.null_count:
        raise _refused(label, f"{array.null_count} nulls", "Fill or leave out these samples.")
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(shape)


def _values(array: pa.Array, label: str) -> tuple[int, pa.Array]:
    """Return the common length of some lists, and their values one behind the other."""
    if array.null_count:
        raise _refused(label, f"{array.null_count} nulls", "Fill or leave out these samples.")
    if pa.types.is_fixed_size_list(array.type):
        return int(array.type.list_size), array.flatten()
    lengths = np.unique(np.diff(array.offsets.to_numpy()))
    if len(lengths) > 1:
        found = f"lengths from {lengths[0]} to {lengths[-1]}"
        raise _refused(label, found, "Pad or pool the samples to one shape before they are written.")
    return int(lengths[0]) if len(lengths) else 0, array.flatten()


def _refused(label: str, found: str, remedy: str) -> IngestError:
    return IngestError(
        where=label, expected="one list of numbers of one length per sample", found=found, remedy=remedy
    )
