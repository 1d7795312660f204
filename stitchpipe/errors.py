"""The one root of every error that a user can meet: where, what was expected, what was found, what to do.

The ground floor of the house: every room, `storage` too, may import this module, and it imports nothing of ours.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExplainedError(Exception):
    """An error whose message is complete without a traceback.

    Each room derives its own, so that callers can tell them apart. The four parts stay attributes, and so does
    whatever a derived class adds; an error that crosses to another process arrives whole.
    """

    def __init__(self, *, where: str, expected: str, found: str, remedy: str) -> None:
        self.where, self.expected, self.found, self.remedy = where, expected, found, remedy
        super().__init__(f"{where}: expected {expected}, found {found}. {remedy}")

    def within(self, where: str) -> Self:
        """Return the same refusal, met in the course of something larger."""
        message = f"{where}: expected {self.expected}, found {self.found}. {self.remedy}"
        return _rebuilt(type(self), message, self.__dict__ | {"where": where})

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the attributes: keyword-only construction is not what pickle would call."""
        return (_rebuilt, (type(self), str(self), self.__dict__))


_Kind = TypeVar("_Kind", bound=ExplainedError)


def _rebuilt(kind: type[_Kind], message: str, attributes: dict[str, Any]) -> _Kind:
    """Return an error equal to the one that was pickled; `kind` may have a constructor of its own."""
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(attributes)
    return error


def nearest(name: str, known: Iterable[str], *, most: int = 1, prefix: str = "") -> str:
    """Return a question that names the known names nearest to `name`, or nothing where none is near.

    `prefix` stands before each name in the question and does not count when they are held against each other.

    >>> nearest("ckaa", ["cka", "cca"])
    "Did you mean 'cka'?"
    """
    close = difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)
    return f"Did you mean {' or '.join(repr(prefix + known_name) for known_name in close)}?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def named_line(error: BaseException) -> str:
    """Return the first line of an error's message, after its class."""
    line, kind = first_line(error), type(error).__name__
    return line if line == kind else f"{kind}: {line}"
