"""What is refused about networks."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class ArchitectureError(ExplainedError, ValueError):
    """No network of that name, or not with those options."""


class WeightsError(ExplainedError, ValueError):
    """A checkpoint is missing, unreadable, unsafe, or of another architecture."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, after its class."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
