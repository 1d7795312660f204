"""What the value of an index comes with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexValue:
    """A value, with the rank and the conditioning it rests on where the index inverts anything."""

    value: float
    rank: int | None = None
    condition: float | None = None
