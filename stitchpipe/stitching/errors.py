"""What can be wrong with a stitch that was asked for."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class StitchError(ExplainedError, ValueError):
    """A stitch cannot be made: shapes, labels or samples do not fit."""
