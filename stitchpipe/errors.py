"""The shape of every error a user can cause: where, what was expected, what was found, what to do."""

from __future__ import annotations


class ExplainedError(Exception):
    """An error whose message is complete without a traceback.

    Each room derives its own, so that callers can tell them apart; the four parts stay attributes.
    """

    def __init__(self, *, where: str, expected: str, found: str, remedy: str) -> None:
        self.where, self.expected, self.found, self.remedy = where, expected, found, remedy
        super().__init__(f"{where}: expected {expected}, found {found}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        parts = {"where": self.where, "expected": self.expected, "found": self.found, "remedy": self.remedy}
        return (_rebuild, (type(self), parts))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def named_line(error: BaseException) -> str:
    """Return the first line of an error's message, after its class."""
    line, kind = first_line(error), type(error).__name__
    return line if line == kind else f"{kind}: {line}"


def _rebuild(kind: type[ExplainedError], parts: dict[str, str]) -> ExplainedError:
    return kind(**parts)
