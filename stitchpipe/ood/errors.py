"""What can be wrong with a request to judge a representation."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class OodError(ExplainedError, ValueError):
    """Representations cannot be judged against each other: shapes or counts do not fit."""


class DetectorDivergedError(OodError):
    """The training of a detector left the finite numbers."""


class DetectorFileError(OodError):
    """A trained detector cannot be read: says which file, what was found and what to do."""
