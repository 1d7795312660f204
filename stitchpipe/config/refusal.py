"""What a sweep file is refused with."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Iterable


class ConfigError(ExplainedError, ValueError):
    """A sweep file cannot be used: says where in it, what was expected, what was found and what to do."""


class RefusalError(ValueError):
    """What a validator has against a table; becomes a `ConfigError` that says where."""

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected, self.found, self.remedy = expected, found, remedy
        super().__init__(expected)


def refuse_repeats(what: str, names: Iterable[str]) -> None:
    """Raise `RefusalError` if one of `names` stands twice; `what` they name is plural."""
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise RefusalError(
            expected=f"{what} that differ",
            found=f"{', '.join(repeated)} more than once",
            remedy="Rename or merge them.",
        )
