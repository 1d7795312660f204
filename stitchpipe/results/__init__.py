"""What a run has found: the columns of a result, the catalogue, questions to it, and fitted maps."""

from stitchpipe.results.catalogue import COMPARED, SCHEMA, Catalogue, CatalogueError
from stitchpipe.results.maps import MapFileError, MapToKeep, made_of, map_bytes, map_of
from stitchpipe.results.query import QueryError
from stitchpipe.results.schema import COLUMNS, Column, Making, Result, ResultError, Side, Subject

__all__ = [
    "COLUMNS",
    "COMPARED",
    "SCHEMA",
    "Catalogue",
    "CatalogueError",
    "Column",
    "Making",
    "MapFileError",
    "MapToKeep",
    "QueryError",
    "Result",
    "ResultError",
    "Side",
    "Subject",
    "made_of",
    "map_bytes",
    "map_of",
]
