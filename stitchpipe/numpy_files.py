"""Looking at NumPy files before anything of them is unpacked: their members, their headers, how large they are."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.errors import named_line

if TYPE_CHECKING:
    from pathlib import Path


class UnsoundError(ValueError):
    """A file that is whole and must not be read, or does not say which of its arrays is meant."""

    def __init__(self, found: str, remedy: str) -> None:
        self.found, self.remedy = found, remedy
        super().__init__(f"{found}. {remedy}")


RATIO: Final = 100
LARGE_BYTES: Final = 64 << 20
"""What unpacks to more than this, and to more than `RATIO` times its packed size, is no data of anybody's."""
_READABLE: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED: Final = 1


def sound_members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the arrays of an ``.npz`` by name, whose sizes and kinds can be believed. Reads no data.

    Raises
    ------
    UnsoundError
        A name is there twice, a member is encrypted, packed in a way that is not known, or would unpack to a lot from
        next to nothing.
    """
    infos = {info.filename: info for info in archive.infolist() if info.filename.endswith(".npy")}
    # NumPy leaves the ending out, and takes the first of two members that are called alike by that.
    counted = Counter(info.filename.removesuffix(".npy") for info in archive.infolist())
    twice = [name for name, count in counted.items() if count > 1]
    if twice:
        raise UnsoundError(f"two arrays called '{twice[0]}'", "Save it again, with a name for each.")
    for name, info in infos.items():
        if info.flag_bits & _ENCRYPTED:
            raise UnsoundError(f"an encrypted array '{name}'", "Save it again without a password.")
        if info.compress_type not in _READABLE:
            raise UnsoundError(
                f"an array '{name}' in a compression that is not known here ({info.compress_type})",
                "Save it again with np.savez or np.savez_compressed.",
            )
        if info.file_size > LARGE_BYTES and info.file_size > RATIO * info.compress_size:
            raise UnsoundError(
                f"an array '{name}' that unpacks to {info.file_size:,} bytes from {info.compress_size:,}",
                f"That is more than {RATIO} times as many, and no data of anybody's. Where it is: np.savez.",
            )
    return {name.removesuffix(".npy"): info for name, info in infos.items()}


def header_of(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the order is Fortran's, and dtype of an array in NumPy's format; reads up to its data.

    Raises
    ------
    ValueError
        It is none, holds Python objects, or has a shape that no array has.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except Exception as error:  # noqa: BLE001 - NumPy hands what stands there to Python's parsers, which raise anything
        raise ValueError(f"a header that is none ({named_line(error)})") from None
    if dtype.hasobject:
        raise ValueError("Python objects, which could run code when they are read")
    if any(length < 0 for length in shape):
        raise ValueError(f"an array of shape {shape}")
    return shape, fortran, dtype


def demand_size(shape: tuple[int, ...], dtype: np.dtype[Any], n_bytes: int) -> None:
    """Refuse an array that is larger than the bytes that are there for it, before memory is asked for.

    Raises
    ------
    ValueError
        Names both.
    """
    needed = math.prod(shape) * dtype.itemsize
    if needed > n_bytes:
        raise ValueError(f"{n_bytes:,} of {needed:,} bytes of an array of shape {shape}")


def demand_whole_npy(path: Path) -> None:
    """Look at the header of an ``.npy`` file. Errors as `header_of` and `demand_size`; `OSError`."""
    with path.open("rb") as file:
        shape, _, dtype = header_of(file)
        demand_size(shape, dtype, path.stat().st_size - file.tell())


def demand_whole_npz(path: Path) -> None:
    """Look at all members of an ``.npz`` file and at the headers of its arrays. Errors as `demand_whole_npy`."""
    with zipfile.ZipFile(path) as archive:
        for name, info in sound_members(archive).items():
            with archive.open(info) as member:
                try:
                    shape, _, dtype = header_of(member)
                    demand_size(shape, dtype, info.file_size - member.tell())
                except ValueError as error:
                    raise ValueError(f"{error} (array '{name}')") from None
