"""Every architecture of the installed libraries, split and held against itself."""

from stitchpipe.census.census import Scope, take, taken
from stitchpipe.census.examination import examined
from stitchpipe.census.processes import Limits
from stitchpipe.census.row import Row
from stitchpipe.census.subjects import CensusError, Subject, matching, subjects
from stitchpipe.census.table import census_page, census_table

__all__ = [
    "CensusError",
    "Limits",
    "Row",
    "Scope",
    "Subject",
    "census_page",
    "census_table",
    "examined",
    "matching",
    "subjects",
    "take",
    "taken",
]
