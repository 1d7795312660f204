"""What a person sees while a sweep runs: a bar for each unit that is under way; then what was found, and when."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from rich.console import RenderableType
    from rich.progress import TaskID


class Progress:
    """Bars of what is under way: call it with (name, done, total), from any thread.

    Several units of work may be under way at a time, each with a bar. One that is complete becomes a line above the
    bars, with its time; off a terminal that line is all there is, so that logs stay readable.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._known: dict[str, TaskID] = {}
        self._begun: dict[str, float] = {}
        self._complete: set[str] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Set the bar `name` to `done` of `total`."""
        with self._lock:
            if name in self._complete:
                return
            if name not in self._known:
                self._known[name] = self._bars.add_task(name, total=total)
                self._begun[name] = time.monotonic()
            self._bars.update(self._known[name], completed=done, total=total)
            if done >= total:
                self._complete.add(name)
                self._bars.remove_task(self._known[name])
                elapsed_s = time.monotonic() - self._begun[name]
                self._console.print(f"{name}: done ({total}) in {elapsed_s:.1f} s", highlight=False)


def summary(root: Path) -> RenderableType:
    """Return the findings of a finished run as a short table, and where everything lies."""
    # The sweep's package loads torch, which takes seconds: a progress bar needs none of it.
    from stitchpipe.sweep.folder import Folder, read_record  # noqa: PLC0415

    folder = Folder(root)
    record = read_record(folder.findings) or {}
    table = Table(title="Findings", title_justify="left", show_lines=False, expand=False)
    table.add_column("question", overflow="fold", ratio=2)
    table.add_column("answer", overflow="fold", ratio=3)
    for finding in record.get("findings", []):
        table.add_row(Text(finding["question"]), Text(finding["answer"]))
    places = Table.grid(padding=(0, 2))
    for name, path in (
        ("report", folder.report / "index.html"),
        ("results", root / "results"),
        ("store", folder.store),
    ):
        places.add_row(name, Text(str(path), overflow="fold"))
    return Group(table, places)


def times(root: Path) -> RenderableType:
    """Return how long the steps of the last command of a run took, as a short table."""
    from stitchpipe.sweep.folder import read_record  # noqa: PLC0415  (as above)

    record = read_record(root / "times.json") or {"commands": [{"steps": [], "total_s": 0.0}]}
    last = record["commands"][-1]
    table = Table(title="Seconds", title_justify="left", show_edge=False, box=SIMPLE_HEAD, show_footer=True)
    table.add_column("step", footer="all, with the start")
    table.add_column("units", justify="right")
    table.add_column("wall", justify="right", footer=f"{last['total_s']:.1f}")
    table.add_column("of all units", justify="right")
    for step in last["steps"]:
        table.add_row(step["step"], str(step["units"]), f"{step['wall_s']:.1f}", f"{step['busy_s']:.1f}")
    return table
