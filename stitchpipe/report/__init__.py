"""The page people look at: one self-contained HTML file, and a few figures as images.

Importing this room is cheap: what writes a page is imported when it is first used, and a server needs none of it.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.report.examples import Examples
    from stitchpipe.report.gathering import Gathering, comparison
    from stitchpipe.report.matrices import COLUMNS, Comparison
    from stitchpipe.report.serving import PAGE, SERVED_NAME, served
    from stitchpipe.report.write import Told, page_files, rendered

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

_HOMES = {
    "examples": ("Examples",),
    "gathering": ("Gathering", "comparison"),
    "matrices": ("COLUMNS", "Comparison"),
    "serving": ("PAGE", "SERVED_NAME", "served"),
    "write": ("Told", "page_files", "rendered"),
}
__getattr__ = on_first_use(__name__, _HOMES)
