"""The step that stitches: every stitch into one target layer, made and judged."""

from stitchpipe.steps.stitching.stitch import stitch

__all__ = ["stitch"]
