"""What a sweep file is refused with."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class ConfigError(ExplainedError, ValueError):
    """A sweep file cannot be used: says where in it, what was expected, what was found and what to do."""


class RefusalError(ValueError):
    """What a validator has against a table; becomes a `ConfigError` that says where."""

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected, self.found, self.remedy = expected, found, remedy
        super().__init__(expected)
