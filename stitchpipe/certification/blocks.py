"""Some repeats of a cell, and the record of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.certification.cells import Cell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.certification.cells import Kind

VERSION: Final[Mapping[Kind, int]] = MappingProxyType({"intervals": 3, "nulls": 2})
"""Of the records of each kind; raised when a block would hold other counts. Those of another one are made again."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some repeats of one cell.

    Attributes
    ----------
    counts
        By index, or index and null: how many repeats there were, how many held or found, and sums of estimates.
    limits
        What the intervals were held against (`Limits`), which all blocks of a cell share; empty of nulls.
    processor_s
        What it took, in seconds.
    """

    cell: Cell
    seed: int
    number: int
    counts: Mapping[str, Mapping[str, float]]
    limits: Mapping[str, Any]
    processor_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return a record of what JSON has."""
        return {"version": VERSION[self.cell.kind], **asdict(self)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Block | None:
        """Return the block that `to_dict` made a record of; None of another version."""
        cell = Cell(**record["cell"])
        if record.get("version") != VERSION[cell.kind]:
            return None
        known = {name: record[name] for name in ("seed", "number", "counts", "limits", "processor_s")}
        return cls(cell=cell, **known)
