"""What a person sees while a sweep runs: a bar for each unit of work that is under way."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from stitchpipe.cli.console import SafeConsole
from stitchpipe.cli.durations import duration_of
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

_COUNTED: Final = {
    "inspect": "networks",
    "train": "epochs",
    "dump": "row groups",
    "compare": "tasks",
    "fit maps": "tasks",
    "stitch": "steps",
    "report": "pages",
}
"""What the units of a step count; of others it is bytes."""
_LOG_EVERY_S: Final = 60.0
"""Off a terminal a unit under way has a line this often."""


@dataclass(slots=True)
class _Heard:
    """What was heard of a unit.

    Attributes
    ----------
    kept
        How much was there when it began; None before the unit itself has said how much there is.
    """

    begun_s: float
    told_s: float
    bar: TaskID | None = None
    kept: int | None = None
    is_complete: bool = False


class Progress:
    """Bars of what is under way: call it with (name, done, total), from any thread.

    Several units of work may be under way at a time, each with a bar that says what is counted and how long the rest
    takes. One that is complete becomes a line above the bars, with what was kept of an earlier try. Off a terminal
    there are lines alone, so that logs stay readable.
    """

    def __init__(self) -> None:
        self._console = SafeConsole(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counted]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._units: dict[str, _Heard] = {}
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
        now_s = time.monotonic()
        with self._lock:
            heard = self._units.setdefault(name, _Heard(now_s, now_s))
            if heard.is_complete:
                return
            if heard.kept is None and (total > 1 or done):
                heard.kept = done if done < total else 0
            if heard.bar is None:
                heard.bar = self._bars.add_task(name, total=total, counted=_counted(name))
            self._bars.update(heard.bar, completed=done, total=total)
            if done >= total:
                self._complete(name, heard, total, now_s)
            elif not self._console.is_terminal and now_s - heard.told_s > _LOG_EVERY_S:
                heard.told_s = now_s
                self._print(f"{name}: {_so_far(name, heard, done, total, now_s)}")

    def _complete(self, name: str, heard: _Heard, total: int, now_s: float) -> None:
        """Put a line in the place of a unit's bar."""
        heard.is_complete = True
        if heard.bar is not None:
            self._bars.remove_task(heard.bar)
        kept, counted = heard.kept or 0, "" if total == 1 else f"{_amount(name, total - (heard.kept or 0))} "
        told = f", {_amount(name, kept)} kept" if kept else ""
        self._print(f"{name}: {counted}done in {now_s - heard.begun_s:.1f} s{told}")

    def say(self, name: str, line: str) -> None:
        """Print a line about `name`, whose bar goes until it is heard of again."""
        with self._lock:
            heard = self._units.get(name)
            if heard is not None and heard.bar is not None and not heard.is_complete:
                self._bars.remove_task(heard.bar)
                heard.bar = None
            self._print(f"{name}: {line}")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False)


def _so_far(name: str, heard: _Heard, done: int, total: int, now_s: float) -> str:
    """Return how far a unit is, and how long the rest takes if it goes on like that."""
    made = done - (heard.kept or 0)
    left = f", about {duration_of((now_s - heard.begun_s) / made * (total - done))} still" if made > 0 else ""
    return f"{_amount(name, done, bare=True)} of {_amount(name, total)}{left}"


def _step(name: str) -> str:
    return "fit maps" if name.startswith("fit maps") else name.partition(" ")[0]


def _counted(name: str) -> str:
    return _COUNTED.get(_step(name), "")


def _amount(name: str, count: int, *, bare: bool = False) -> str:
    """Return an amount with what is counted, unless it is `bare`; where that is bytes, as sizes are read."""
    if _step(name) in ("verify", "check"):
        return size_of(count)
    counted = "" if bare else _counted(name)
    return f"{count} {counted[:-1] if count == 1 else counted}".strip()
