"""What ingestion refuses."""

from __future__ import annotations

from stitchpipe.errors import ExplainedError


class IngestError(ExplainedError, ValueError):
    """Arrays, ids or labels cannot become a representation: says where, expected, found and what to do."""
