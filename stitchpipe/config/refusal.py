"""What a sweep file is refused with, and the strictness that all of its tables share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from stitchpipe.errors import ExplainedError


class ConfigError(ExplainedError, ValueError):
    """A sweep file cannot be used: says where in it, what was expected, what was found and what to do."""


class RefusalError(ValueError):
    """What a validator has against a table; becomes a `ConfigError` that says where."""

    def __init__(self, *, expected: str, found: str, remedy: str) -> None:
        self.expected, self.found, self.remedy = expected, found, remedy
        super().__init__(expected)


class Section(BaseModel):
    """A table of a sweep file: unknown keys are refused, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
