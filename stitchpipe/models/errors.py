"""What is refused about networks."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError, first_line


class ArchitectureError(ExplainedError, ValueError):
    """No network of that name, or not with those options."""


class WeightsError(ExplainedError, ValueError):
    """A checkpoint is missing, unreadable, unsafe, or of another architecture."""


def named_line(error: BaseException) -> str:
    """Return the first line of an error's message, after its class."""
    line, kind = first_line(error), type(error).__name__
    return line if line == kind else f"{kind}: {line}"
