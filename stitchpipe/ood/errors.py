"""What can be wrong with a request to judge a representation."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError
from stitchpipe.measures import Number


class OodError(ExplainedError, ValueError):
    """Representations cannot be judged against each other: shapes or counts do not fit."""


class DetectorDivergedError(OodError):
    """The training of a detector left the finite numbers."""

    @property
    def number(self) -> Number:
        """What stands in the place of its scores."""
        return Number.missing("diverged", f"{self.found} at {self.where}")


class DetectorFileError(OodError):
    """A trained detector cannot be read: says which file, what was found and what to do."""
