"""What a glob over networks or files is refused with."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class NothingFitsError(ExplainedError, ValueError):
    """A glob fits nothing, or what it is asked of is not there."""


class UnreadableError(ExplainedError, ValueError):
    """The header of a checkpoint cannot be read."""
