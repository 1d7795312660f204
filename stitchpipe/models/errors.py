"""What is refused about networks."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class ArchitectureError(ExplainedError, ValueError):
    """No network of that name, or not with those options."""


class WeightsError(ExplainedError, ValueError):
    """A checkpoint is missing, unreadable, unsafe, or of another architecture."""
