"""The page people look at: one self-contained HTML file, and its figures as images."""

from stitchpipe.report.write import rendered

__all__ = ["rendered"]
