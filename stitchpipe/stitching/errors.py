"""What can be wrong with a stitch that was asked for, or that was trained."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class StitchError(ExplainedError, ValueError):
    """A stitch cannot be made: shapes, labels, samples or the budget do not fit."""


class DivergedError(StitchError):
    """A training or a stitched network left the finite numbers: there is no accuracy to report."""
