"""How a layer of a model of the sweep is called."""

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
