"""What a check found, as a value: one line for people, its parts for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.errors import StoreError


@dataclass(frozen=True)
class Problem:
    """Something that is not as it was committed; `row_group` is None where a file serves all of them."""

    representation: str
    row_group: int | None
    file: str
    expected: str
    found: str
    remedy: str

    def __str__(self) -> str:
        """Return one line."""
        group = "" if self.row_group is None else f", row group {self.row_group}"
        return (
            f"{self.representation}{group}, file {self.file}: expected {self.expected}, "
            f"found {self.found}. {self.remedy}"
        )


def problem_of(error: StoreError, *, label: str, row_group: int | None = None) -> Problem:
    """Return what an error says about a representation."""
    file = error.file if isinstance(error, CorruptError) else error.where
    return Problem(label, row_group, file, error.expected, error.found, error.remedy)


def unvouched(path_of: Callable[[str], str], key: str, n_bytes: int, *, label: str, expected: str) -> Problem:
    """Return the problem that nothing says what a file should hold; `path_of` is that of its place."""
    try:
        file = path_of(key)
    except CorruptError as error:  # a symbolic link
        return problem_of(error, label=label)
    return Problem(
        representation=label,
        row_group=None,
        file=file,
        expected=expected,
        found=f"{n_bytes} bytes that nothing here vouches for",
        remedy="Move it elsewhere if it is yours, or remove it.",
    )
