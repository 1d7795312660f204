"""Files that a command writes where it was told to: what is written is said, what cannot be is refused."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError, first_line
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class OutputError(ExplainedError, ValueError):
    """What was asked for cannot be written there, or not in this way."""

    @classmethod
    def unwritable(cls, path: Path, error: OSError) -> OutputError:
        """Of a place where no file can be made."""
        return cls(
            where=str(path),
            expected="a file that can be written",
            found=error.strerror or first_line(error),
            remedy="Name another place.",
        )

    @classmethod
    def there_already(cls, path: Path) -> OutputError:
        """Of a file that would be overwritten."""
        return cls(
            where=str(path), expected="a new file", found="that it is there", remedy="Name another one."
        )


def write_file(path: Path, data: bytes) -> None:
    """Write a file that was asked for, over what is there, and say so.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError.unwritable(path, error) from None
    _tell(path, data)


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and say so.

    Raises
    ------
    OutputError
        It is there, or cannot be written.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise OutputError.there_already(path) from None
    except OSError as error:
        raise OutputError.unwritable(path, error) from None
    _tell(path, data)


def demand_new(path: Path, endings: Collection[str]) -> None:
    """Refuse a file that is there, or of a kind that cannot be meant, before minutes are spent on what it would hold.

    Raises
    ------
    OutputError
        Either.
    """
    if path.suffix not in endings:
        raise OutputError(
            where=str(path),
            expected=f"a file that ends in {', '.join(sorted(endings))}",
            found=f"the ending '{path.suffix}'",
            remedy="Name it so.",
        )
    if path.exists():
        raise OutputError.there_already(path)


def _tell(path: Path, data: bytes) -> None:
    sys.stderr.write(f"{size_of(len(data))} in {path}\n")
