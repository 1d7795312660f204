"""The page people look at: one self-contained HTML file, and its figures as images."""

from stitchpipe.report.write import ReportError, ReportFiles, write_report

__all__ = ["ReportError", "ReportFiles", "write_report"]
