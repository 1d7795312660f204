"""Files of arrays that can be read in any order: ``.npy``, ``.npz`` and safetensors, memory-mapped."""

from __future__ import annotations

import json
import math
import struct
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from stitchpipe.errors import first_line
from stitchpipe.ingest.columns import Column, Contents
from stitchpipe.ingest.errors import IngestError
from stitchpipe.ingest.parquet import read_parquet
from stitchpipe.numpy_files import demand_size, header_of, sound_members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from stitchpipe.ingest.columns import Choice
    from stitchpipe.ingest.spool import Spool

_SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "<i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?",
}  # fmt: skip
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
"""What stands before a member of a zip file; its last two fields are the lengths of name and extra."""

_OF_DAMAGED = (
    OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, SafetensorError,
)  # fmt: skip
"""What the parsers of files raise that are damaged or of another kind."""
SUFFIXES = (".npy", ".npz", ".safetensors", ".parquet")


def read_file(path: Path, choice: Choice, spool: Spool) -> Contents:
    """Open a file of activations; what can be mapped is mapped, what cannot goes through `spool`.

    Parameters
    ----------
    path
        ``.npy``: one array, the layer is called as the file. ``.npz``, ``.safetensors``: an array per layer.
        ``.parquet``: a list column per layer.
    choice
        Which layers, and which names hold ids or labels.

    Raises
    ------
    IngestError
        No such file, another kind of file, or a damaged one.

    Notes
    -----
    Reads headers only, but for Parquet and compressed members of ``.npz``: those are read once, in bounded memory.
    """
    readers = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors, ".parquet": read_parquet}
    if path.suffix.lower() not in readers:
        raise _unreadable(path, f"a file called *{path.suffix or path.name}")
    try:
        return readers[path.suffix.lower()](path, choice, spool)
    except FileNotFoundError:
        raise _unreadable(path, "no such file") from None
    except IngestError:
        raise
    except (
        OSError,
        ValueError,
        TypeError,
        NotImplementedError,
        RuntimeError,
        KeyError,
        EOFError,
        zipfile.BadZipFile,
        SafetensorError,
    ) as error:
        raise _unreadable(path, first_line(error)) from None


def _npy(path: Path, choice: Choice, spool: Spool) -> Contents:
    del spool
    with path.open("rb") as file:
        rows = _mapped(file, *header_of(file), start=file.tell(), size=path.stat().st_size)
    return _contents(path, choice, iter([(path.stem, rows, False)]))


def _npz(path: Path, choice: Choice, spool: Spool) -> Contents:
    with zipfile.ZipFile(path) as archive:
        return _contents(path, choice, _members(path, archive, choice, spool))


def _members(
    path: Path, archive: zipfile.ZipFile, choice: Choice, spool: Spool
) -> Iterator[tuple[str, npt.NDArray[Any], bool]]:
    """Yield the arrays of an ``.npz``: stored ones mapped in place, compressed ones unpacked into the spool."""
    for name, info in sound_members(archive).items():
        if not choice.takes(name) and name not in choice.vectors:
            continue
        with archive.open(info) as member:
            shape, fortran, dtype = header_of(member)
            start = member.tell()
            if info.compress_type != zipfile.ZIP_STORED:
                unpacked = spool.copy(f"{path}/{name}", member)
                yield name, _mapped(unpacked, shape, fortran, dtype, start=0, size=unpacked.tell()), False
                continue
        with path.open("rb") as file:
            file.seek(info.header_offset)
            *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            data = info.header_offset + _LOCAL_HEADER.size + name_bytes + extra_bytes
            size = data + info.file_size
            yield name, _mapped(file, shape, fortran, dtype, start=data + start, size=size), False


def _safetensors(path: Path, choice: Choice, spool: Spool) -> Contents:
    del spool
    with safe_open(path, framework="numpy"):
        pass  # the library checks the header: offsets within the file, without gaps or overlaps
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        tensors = []
        for name, about in header.items():
            if not choice.takes(name) and name not in choice.vectors:
                continue
            if about["dtype"] not in _SAFETENSORS:
                raise _unreadable(path, f"a tensor '{name}' of {about['dtype']}")
            start, stop = (8 + length + offset for offset in about["data_offsets"])
            dtype = np.dtype(_SAFETENSORS[about["dtype"]])
            rows = _mapped(file, tuple(about["shape"]), False, dtype, start=start, size=stop)
            tensors.append((name, rows, about["dtype"] == "BF16"))
    return _contents(path, choice, iter(tensors))


def _contents(path: Path, choice: Choice, arrays: Iterator[tuple[str, npt.NDArray[Any], bool]]) -> Contents:
    columns: dict[str, Column] = {}
    vectors: dict[str, npt.NDArray[Any]] = {}
    for name, rows, bfloat16 in arrays:
        if name in choice.vectors:
            vectors[name] = np.asarray(rows)
        elif choice.takes(name):
            columns[name] = Column(name, str(path), rows, bfloat16)
    return Contents(str(path), columns, vectors)


def _mapped(
    file: IO[bytes],
    shape: tuple[int, ...],
    fortran: bool,
    dtype: np.dtype[Any],
    *,
    start: int,
    size: int,
) -> npt.NDArray[Any]:
    """Return an array that lies in a file from `start` on; `size` is where what holds it ends."""
    demand_size(shape, dtype, size - start)
    n_bytes = math.prod(shape) * dtype.itemsize
    if (
        n_bytes == 0 or not shape
    ):  # neither can be mapped, and neither is a layer: only the shape is of interest
        return np.empty(shape, dtype)
    order: Any = "F" if fortran else "C"
    return np.memmap(file, dtype=dtype, mode="r", offset=start, shape=shape, order=order)


def _unreadable(path: Path, found: str) -> IngestError:
    return IngestError(
        where=str(path),
        expected=f"a whole file of arrays ({', '.join(SUFFIXES)})",
        found=found,
        remedy="Give such a file, or hand the arrays to stitchpipe.ingest_batches from Python.",
    )
