"""Layers held against their own first principal components, kept beside the results: a record of what one command did.

A layer under a view is one entry, with a list for each index: a table of them has a row for each rank and index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from stitchpipe.run.keys import digest_of
from stitchpipe.run.record_tables import record_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage import CheckedFiles

FOLDER: Final = "deletions"
COLUMNS: Final[Mapping[str, tuple[pa.DataType, str]]] = {
    "model": (pa.string(), "the model's name"),
    "layer": (pa.string(), "the layer's name"),
    "depth": (pa.int64(), "its place in the network's order among the layers of the run, from 0"),
    "view": (pa.string(), "how rows were made: `pooled` or `flatten`"),
    "rank": (pa.int64(), "how many principal components of the training images are kept, the first ones"),
    "variance": (pa.float64(), "the share of the training images' variance that they hold"),
    "accuracy": (pa.float64(), "of a linear probe of them, on the test images"),
    "whole_accuracy": (pa.float64(), "of the same probe of the whole layer"),
    "index": (pa.string(), "by which what is left is held against the whole layer"),
    "value": (pa.float64(), "from what is left to the whole; null where there is none"),
    "status": (pa.string(), "`ok`, or one word for why there is no number"),
    "reason": (pa.string(), "the same in a sentence"),
    "split": (pa.string(), "the split on which the numbers were taken"),
    "n_samples": (pa.int64(), "images"),
    "p": (pa.int64(), "features"),
    "digest": (pa.string(), "digest of the layer's content on `split`"),
    "fingerprint": (pa.string(), "digest of all that made its dump"),
    "key": (pa.string(), "digest of everything that the numbers depend on but the index"),
}
"""Type and meaning of every column, in their order."""
MEANING: Final = "a layer against its own first principal components, by one index at one rank"
_OF_RANKS: Final = ("rank", "variance", "accuracy")


@dataclass(frozen=True)
class Deletions:
    """The low-rank deletions of a run."""

    files: CheckedFiles

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Yield what was kept of layers. One listing, few reads."""
        for record in self.files.records(FOLDER).values():
            yield from record["layers"]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each layer, view, rank and index, each once; where there are none one with the reason."""
        kept: dict[tuple[str, str], Mapping[str, Any]] = {}
        for entry in self.entries():
            kept |= {(entry["key"], index): entry for index in entry["numbers"]}
        rows = [row for (_, index), entry in kept.items() for row in _rows(entry, index)]
        return sorted(
            rows,
            key=lambda row: (
                row["model"], row["view"], row["index"], row["depth"] or 0, row["layer"], -(row["rank"] or 0)
            ),
        )  # fmt: skip

    def table(self) -> pa.Table:
        """Return the same in columns."""
        return record_table(COLUMNS, self.rows())

    def held(self) -> set[tuple[str, str]]:
        """Return which are there, by key and index."""
        return {(entry["key"], index) for entry in self.entries() for index in entry["numbers"]}

    def add(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Keep what is known of some layers under a digest of what it is; nothing where there is none."""
        if entries:
            which = sorted((entry["key"], index) for entry in entries for index in entry["numbers"])
            self.files.put_record(
                f"{FOLDER}/{digest_of(which)}", {"layers": [dict(entry) for entry in entries]}
            )


def _rows(entry: Mapping[str, Any], index: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one layer and index."""
    common = {name: entry[name] for name in COLUMNS if name in entry and name not in _OF_RANKS}
    common["index"] = index
    if not entry["rank"]:
        yield common | {"status": entry["status"], "reason": entry["reason"]}
    for place, number in enumerate(entry["numbers"][index]):
        of_rank = {name: entry[name][place] for name in _OF_RANKS}
        value, status, reason = number
        yield common | of_rank | {"value": value, "status": status, "reason": reason}
