"""What a question to a run is refused with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from stitchpipe.errors import ExplainedError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SHOWN = 12
"""How many names a message lists before it counts the rest."""


class WorkspaceError(ExplainedError, ValueError):
    """A place holds no run, or not what was asked of it."""

    @classmethod
    def unknown(cls, where: str, expected: str, name: str, known: Sequence[str]) -> Self:
        """Return the refusal of a name that is none: with the nearest known names, and some of all."""
        near = nearest(name, known, most=3)
        return cls(
            where=where,
            expected=expected,
            found=f"'{name}'",
            remedy=f"{near} There is: {listed(known)}.".lstrip(),
        )


class SeveralNumbersError(WorkspaceError):
    """A question for one number has several answers, and nothing says which is meant."""


def listed(names: Sequence[str]) -> str:
    """Return names as a message lists them: the first few, and how many more there are."""
    more = len(names) - MOST_SHOWN
    shown = ", ".join(names[:MOST_SHOWN])
    return (f"{shown} and {more} more" if more > 0 else shown) or "nothing"
