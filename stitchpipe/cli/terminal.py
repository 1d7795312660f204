"""What a person sees while a sweep runs: a bar for each unit of work that is under way."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from types import TracebackType

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

    def say(self, name: str, line: str) -> None:
        """Print a line about `name`, whose bar goes until it is heard of again."""
        with self._lock:
            if name in self._known and name not in self._complete:
                self._bars.remove_task(self._known.pop(name))
            self._console.print(f"{name}: {line}", highlight=False, markup=False)
