"""How far a running sweep is: what the command line hears."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Called with the unit's name (``"dump resnet-a test"``), how much of it is done, and how much there is.
Progress: TypeAlias = Callable[[str, int, int], None]


def silent(unit: str, done: int, total: int) -> None:
    """Tell nobody."""
    del unit, done, total
