"""Encoded images in a Parquet file, as plain bytes or as Hugging Face data sets hold them.

Parquet has no cheap way to one row: a whole row group is read for it. The encoded images are therefore copied
once, in a stream, to a temporary file, and read from there by their offsets.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stitchpipe.data.class_numbers import class_numbers
from stitchpipe.data.image_files import opened_image
from stitchpipe.data.image_traits import as_seen
from stitchpipe.data.images import DataError
from stitchpipe.data.pixels import Pixels, pixels_of
from stitchpipe.data.reading import Samples, numbered_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BATCH_ROWS = 256


def parquet_samples(path: Path, split: str, columns: Mapping[str, str]) -> Samples:
    """Return the images, labels and ids of a Parquet file.

    Parameters
    ----------
    columns
        Other names for ``image`` (encoded bytes, or a struct with them in its field ``bytes``), ``label`` (whole
        numbers, optional) and ``id`` (strings or whole numbers, optional).

    Raises
    ------
    DataError
        The file is missing or damaged, a named column is not there, an image or id is null, a label is no number.

    Notes
    -----
    Takes as much room in the folder for temporary files as the images in the Parquet file, until the samples are
    given up; in memory, one row group and 8 bytes per image. Names of classes come from Hugging Face's metadata.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = _columns(path, file.schema_arrow, columns)
            spool = _spooled(path, file, names["image"])
            rest = file.read([names[key] for key in ("label", "id") if key in names])
            metadata = file.schema_arrow.metadata or {}
    except (OSError, pa.ArrowException) as error:
        missing = isinstance(error, FileNotFoundError)
        raise DataError(
            where=str(path),
            expected="a readable Parquet file",
            found="no such file" if missing else str(error).splitlines()[0],
            remedy="Correct the path; relative ones start at the sweep file."
            if missing
            else "Is it complete?",
        ) from None
    count = len(spool.offsets) - 1
    labels = _labels(path, rest, names.get("label"), count)
    ids = numbered_ids(split, count) if "id" not in names else _ids(path, rest.column(names["id"]))
    class_names = _class_names(metadata, names.get("label", ""))
    return Samples(spool, ids, labels, class_names, is_encoded=True)


@dataclass(frozen=True)
class SpooledSource:
    """Encoded images one after the other in an unnamed file, image k from ``offsets[k]`` to ``offsets[k + 1]``."""

    path: Path
    column: str
    spool: IO[bytes]
    offsets: npt.NDArray[np.int64]

    def pixels(self, position: int) -> Pixels:
        """Return an image, ``(H, W, C)``; `DataError` if it cannot be decoded."""
        where = self.where(position)
        with opened_image(io.BytesIO(self.raw(position)), where, "Replace or remove the row.") as image:
            return pixels_of(as_seen(image), where)

    def raw(self, position: int) -> bytes:
        """Return the encoded bytes."""
        start, stop = self.offsets[position : position + 2].tolist()
        return os.pread(self.spool.fileno(), stop - start, start)

    def where(self, position: int) -> str:
        """Return file, column and row."""
        return f"{self.path}, column '{self.column}', row {position}"


def _columns(path: Path, schema: pa.Schema, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return which of the columns ``image``, ``label`` and ``id`` there are, by the names they have here."""
    names = {key: wanted.get(key, key) for key in ("image", "label", "id")}
    for key in ("image", *wanted):
        if names[key] not in schema.names:
            raise DataError(
                where=str(path),
                expected=f"a column '{names[key]}'",
                found=f"the columns {', '.join(schema.names)}",
                remedy=f'Set data.columns = {{ {key} = "NAME" }}.',
            )
    present = {key: name for key, name in names.items() if name in schema.names}
    kind = schema.field(present["image"]).type
    inner = (
        kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    )
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner)):
        raise DataError(
            where=f"{path}, column '{present['image']}'",
            expected="encoded images: binary, or a struct with a binary field `bytes`",
            found=str(kind),
            remedy="Name the column of the images in data.columns, or store arrays as .npz.",
        )
    return present


def _spooled(path: Path, file: pq.ParquetFile, column: str) -> SpooledSource:
    # Images are asked for in the store's order, which is not the file's, and one row costs a row group of Parquet.
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the source
    offsets = [0]
    for encoded in _encoded(file, column):
        if not encoded:
            raise DataError(
                where=f"{path}, column '{column}', row {len(offsets) - 1}",
                expected="the bytes of an encoded image",
                found="none",
                remedy="Embed the images' bytes: paths to other files are not followed.",
            )
        spool.write(encoded)
        offsets.append(offsets[-1] + len(encoded))
    spool.flush()
    return SpooledSource(path, column, spool, np.array(offsets, dtype=np.int64))


def _encoded(file: pq.ParquetFile, column: str) -> Iterator[bytes | None]:
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[column]):
        values = batch.column(0)
        if pa.types.is_struct(values.type):
            rows = values.to_pylist()
            yield from (None if row is None else row["bytes"] for row in rows)
        else:
            yield from values.to_pylist()


def _labels(path: Path, table: pa.Table, column: str | None, count: int) -> npt.NDArray[np.int64] | None:
    if column is None:
        return None
    values = table.column(column)
    if values.null_count == len(values):
        return None
    if values.null_count or not pa.types.is_integer(values.type):
        raise DataError(
            where=f"{path}, column '{column}'",
            expected="whole numbers, one class per image",
            found=f"{values.null_count} nulls" if values.null_count else str(values.type),
            remedy="Number the classes from 0, or drop the column to only dump and compare.",
        )
    return class_numbers(values.to_numpy(), count, f"{path}, column '{column}'")


def _ids(path: Path, values: pa.ChunkedArray) -> tuple[str, ...]:
    kind = values.type
    plain = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    if values.null_count or not plain:
        raise DataError(
            where=f"{path}, column of ids",
            expected="strings or whole numbers, none of them null",
            found=f"{values.null_count} nulls" if values.null_count else str(kind),
            remedy="Correct the ids, or drop the column.",
        )
    return tuple(str(sample_id) for sample_id in values.to_pylist())


def _class_names(metadata: Mapping[bytes, bytes], column: str) -> tuple[str, ...]:
    """Return the names of the classes as Hugging Face's metadata have them; none where there are no such data."""
    try:
        features: Any = json.loads(metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return ()
