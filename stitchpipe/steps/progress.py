"""How a step tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Report: TypeAlias = Callable[[int, int], None]
"""Called with (done, total); calls are cheap and may come from any thread."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""
    del done, total
