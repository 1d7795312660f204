"""Rows that come in sequence, kept on the disk so that they can be read in any order.

Each layer goes to one temporary file that has no name: it is gone when the process ends, however it ends.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from stitchpipe.ingest.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    import numpy.typing as npt

_COPY_BYTES = 1 << 20


class Spool:
    """Temporary files in `folder`, one per layer; a context manager.

    Notes
    -----
    Disk: the rows once, uncompressed. Memory: one block of rows.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, IO[bytes]] = {}
        self._rows: dict[str, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()

    def append(self, name: str, rows: npt.NDArray[Any], *, where: str) -> None:
        """Add rows ``(k, …)`` to a layer.

        Raises
        ------
        IngestError
            Samples of another shape or dtype than before, or the disk refuses.
        """
        count, shape, dtype = self._rows.get(name, (0, rows.shape[1:], rows.dtype))
        if rows.shape[1:] != shape or rows.dtype != dtype:
            raise IngestError(
                where=f"{where}, layer '{name}', from row {count}",
                expected=f"samples of shape {shape} and {dtype}, as before",
                found=f"{rows.shape[1:]} and {rows.dtype}",
                remedy="Give all samples of a layer one shape and one dtype.",
            )
        try:
            self._file(name).write(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
        except OSError as error:
            raise self._refused(error) from None
        self._rows[name] = (count + len(rows), shape, dtype)

    def copy(self, name: str, source: IO[bytes]) -> IO[bytes]:
        """Return a file with what is left of `source`; `IngestError` where the disk refuses."""
        file = self._file(name)
        try:
            shutil.copyfileobj(source, file, _COPY_BYTES)
            file.flush()
        except OSError as error:
            raise self._refused(error) from None
        return file

    def rows(self, name: str) -> npt.NDArray[Any]:
        """Return what was added to a layer, ``(n, …)``, memory-mapped."""
        count, shape, dtype = self._rows[name]
        if 0 in (count, *shape):
            return np.empty((count, *shape), dtype)
        try:
            self._files[name].flush()
        except OSError as error:
            raise self._refused(error) from None
        return np.memmap(self._files[name], dtype=dtype, mode="r", shape=(count, *shape))

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that rows were added to, in the order of their first."""
        return tuple(self._rows)

    def _file(self, name: str) -> IO[bytes]:
        if name not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._files[name] = tempfile.TemporaryFile(dir=self._folder, prefix=".ingest-")  # noqa: SIM115 - closed by the spool
        return self._files[name]

    def _refused(self, error: OSError) -> IngestError:
        return IngestError(
            where=str(self._folder),
            expected="room for the rows once, uncompressed, in a temporary file",
            found=error.strerror or type(error).__name__,
            remedy="Make room there, or give the activations as .npy or safetensors, which need no such file.",
        )
