"""Parts in a bucket as the file system that the database reads: exactly the files that it is given."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from stitchpipe.results.part_files import PartFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import CheckedFile, CheckedFiles

PROTOCOL = "parts"


class BucketParts(AbstractFileSystem):
    """Parts of the results, by the names ``parts://NUMBER.parquet``: nothing else can be opened.

    Parameters
    ----------
    parts
        By name.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, files: CheckedFiles, parts: Mapping[str, CheckedFile]) -> None:
        super().__init__()
        self._files, self._parts = files, parts

    def _part(self, path: str) -> CheckedFile:
        name = path if "://" in path else f"{PROTOCOL}://{path}"
        if name not in self._parts:
            raise FileNotFoundError(path)
        return self._parts[name]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the size of a part."""
        return {"name": path, "size": self._part(path).n_bytes, "type": "file"}

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether it is one of the parts."""
        return (path if "://" in path else f"{PROTOCOL}://{path}") in self._parts

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the path where it is one of the parts: there are no patterns."""
        return [path] if self.exists(path) else []

    def modified(self, path: str) -> datetime:
        """Return one time for all: parts do not change."""
        self._part(path)
        return datetime.fromtimestamp(0, UTC)

    def open(self, path: str, mode: str = "rb", **_: Any) -> PartFile:
        """Open a part for reading."""
        if mode != "rb":
            raise PermissionError(path)
        return PartFile(self._files, self._part(path))
