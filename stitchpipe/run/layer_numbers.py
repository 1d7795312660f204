"""Numbers of single layers, kept beside the results: records, each of what one command measured, read as one table.

They are few, at most a handful for each layer and view, so that they need no columns of their own on the disk; and the
results, whose rows are pairs of layers, stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from stitchpipe.run.keys import digest_of
from stitchpipe.run.record_tables import record_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage import CheckedFiles

FOLDER: Final = "layers"
COLUMNS: Final[Mapping[str, tuple[pa.DataType, str]]] = {
    "model": (pa.string(), "the model's name"),
    "layer": (pa.string(), "the layer's name"),
    "depth": (pa.int64(), "its place in the network's order among the layers of the run, from 0"),
    "view": (pa.string(), "how rows were made: `positions`, `pooled` or `flatten`"),
    "measure": (pa.string(), "its name in the registry, with its parameter in parentheses"),
    "value": (pa.float64(), "the number; null where there is none"),
    "standard_error": (pa.float64(), "of the number; null where the measure has none"),
    "status": (pa.string(), "`ok`, or one word for why there is no number"),
    "reason": (pa.string(), "the same in a sentence; beside a number, a remark"),
    "split": (pa.string(), "the split on which the number was taken"),
    "n_samples": (pa.int64(), "images"),
    "n_rows": (pa.int64(), "rows of the view"),
    "p": (pa.int64(), "features"),
    "digest": (pa.string(), "digest of the layer's content on `split`"),
    "fingerprint": (pa.string(), "digest of all that made its dump"),
    "key": (pa.string(), "digest of everything that the number depends on but its measure"),
}
"""Type and meaning of every column, in their order."""
MEANING: Final = "a number of one layer by itself"


@dataclass(frozen=True)
class LayerNumbers:
    """The numbers of single layers of a run."""

    files: CheckedFiles

    def rows(self) -> list[dict[str, Any]]:
        """Return every number once, models by name, layers in their network's order. One listing, few reads."""
        kept = {
            (row["key"], row["measure"]): row
            for record in self.files.records(FOLDER).values()
            for row in record["numbers"]
        }
        return sorted(
            kept.values(),
            key=lambda row: (row["model"], row["view"], row["measure"], row["depth"] or 0, row["layer"]),
        )

    def table(self) -> pa.Table:
        """Return the same in columns."""
        return record_table(COLUMNS, self.rows())

    def held(self) -> set[tuple[str, str]]:
        """Return which numbers are there, by key and measure."""
        return {(row["key"], row["measure"]) for row in self.rows()}

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep some numbers under a digest of what they are; nothing where there are none."""
        if rows:
            which = sorted((row["key"], row["measure"]) for row in rows)
            self.files.put_record(f"{FOLDER}/{digest_of(which)}", {"numbers": [dict(row) for row in rows]})
