"""What a run has found: the columns of a result, the catalogue, questions to it, and fitted maps."""

from stitchpipe.results.beside import TableBeside, described_tables
from stitchpipe.results.catalogue import MANY_PARTS, Catalogue
from stitchpipe.results.compaction import Compacted
from stitchpipe.results.held import Held, Keys, keys_of, numbers_of, texts_of
from stitchpipe.results.maps import MapFileError, MapToKeep, made_of, map_bytes, map_of
from stitchpipe.results.part_files import CatalogueError
from stitchpipe.results.parts import leftover_names
from stitchpipe.results.query import QueryError
from stitchpipe.results.reading import COMPARED, frame_of
from stitchpipe.results.result import MAKING, Making, Result, Side, Subject, making_in_words
from stitchpipe.results.schema import COLUMNS, Column
from stitchpipe.results.tables import SCHEMA, ResultError, coded, table_of, table_of_records

__all__ = [
    "COLUMNS",
    "COMPARED",
    "MAKING",
    "MANY_PARTS",
    "SCHEMA",
    "Catalogue",
    "CatalogueError",
    "Column",
    "Compacted",
    "Held",
    "Keys",
    "Making",
    "MapFileError",
    "MapToKeep",
    "QueryError",
    "Result",
    "ResultError",
    "Side",
    "Subject",
    "TableBeside",
    "coded",
    "described_tables",
    "frame_of",
    "keys_of",
    "leftover_names",
    "made_of",
    "making_in_words",
    "map_bytes",
    "map_of",
    "numbers_of",
    "table_of",
    "table_of_records",
    "texts_of",
]
