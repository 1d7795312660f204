"""Measuring side by side: candidates take turns, the best time of each counts, and figures are ratios."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def best_seconds(candidates: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Return the best wall time of each candidate over `repeats` rounds; in each round all run once, in turn."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(repeats):
        for name, act in candidates.items():
            start = time.perf_counter()
            act()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def sync_all() -> None:
    """Wait for what earlier candidates left to the operating system to write."""
    os.sync()


@dataclass
class Table:
    """Rows of a Markdown table."""

    title: str
    about: str
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, **cells: object) -> None:
        self.rows.append({name.replace("_", " "): str(cell) for name, cell in cells.items()})

    def text(self) -> str:
        """Return the table as Markdown, under its title; empty where it has no rows."""
        if not self.rows:
            return ""
        names = list(self.rows[0])
        lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in self.rows)]
        cells = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"\n\n{self.title.strip()}\n({self.about})\n\n{cells}"

    def show(self) -> None:
        if self.rows:
            print(self.text())
