"""How a layer of a model of the sweep is called, and a record of a unit of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

TRAIN, TEST = "train", "test"
SPLITS = (TRAIN, TEST)
"""The splits that every sweep has: maps are fitted on the first and everything is scored on the second."""


@dataclass(frozen=True, slots=True, order=True)
class LayerName:
    """A layer of a model of the sweep."""

    model: str
    layer: str

    def __str__(self) -> str:
        return f"{self.model}/{self.layer}"


Pair: TypeAlias = tuple[LayerName, LayerName]
"""Source and target."""


def unit_record(folder: str, unit: str) -> str:
    """Return the name of a record about a unit of work; the record itself holds the unit's name as it is."""
    return f"{folder}/{unit.replace('/', chr(0x2215))}"  # a division slash makes no folder
