"""The page people look at: one self-contained HTML file, and a few figures as images."""

from stitchpipe.report.examples import Examples
from stitchpipe.report.gathering import Gathering, comparison
from stitchpipe.report.matrices import COLUMNS, Comparison
from stitchpipe.report.write import PAGE, SERVED_NAME, Told, page_files, rendered, served

__all__ = [
    "COLUMNS",
    "PAGE",
    "SERVED_NAME",
    "Comparison",
    "Examples",
    "Gathering",
    "Told",
    "comparison",
    "page_files",
    "rendered",
    "served",
]
