"""How far a running sweep is: what the command line hears."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears of units of work by their names (``"dump A test"``), from several threads."""

    def __call__(self, unit: str, done: int, total: int) -> None:
        """Hear how much of a unit is done, and how much there is."""

    def say(self, unit: str, line: str) -> None:
        """Hear something else of a unit: that it failed, or who works on it."""


class Silent:
    """Tells nobody."""

    def __call__(self, unit: str, done: int, total: int) -> None:
        """Hear nothing."""

    def say(self, unit: str, line: str) -> None:
        """Hear nothing."""
