"""What can be wrong with a stitch that was asked for, or that was trained."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError
from stitchpipe.measures import Number


class StitchError(ExplainedError, ValueError):
    """A stitch cannot be made: shapes, labels, samples or the budget do not fit."""


class UnfittedError(StitchError):
    """The map that a stitch is, or begins with, was not fitted yet: `fit maps` comes first, and may have failed."""


class DivergedError(StitchError):
    """A training or a stitched network left the finite numbers: there is no accuracy to report."""

    @property
    def number(self) -> Number:
        """What stands in the place of every number of such a stitch."""
        return Number.missing("diverged", f"{self.found} at {self.where}")
