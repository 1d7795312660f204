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


def _rebuild(kind: type[ExplainedError], parts: dict[str, str]) -> ExplainedError:
    return kind(**parts)
