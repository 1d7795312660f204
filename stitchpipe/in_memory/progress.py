"""How far a comparison in memory is: told to a function, or shown as a line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Tell: TypeAlias = Callable[[int, int], None]
"""Is told how many pairs are done, and of how many."""


@contextmanager
def telling(progress: bool | Tell, what: str) -> Iterator[Tell]:
    """Give what is told of progress: the caller's own function, what draws a line, or what hears nothing."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda _done, _total: None
    else:
        # Whoever compares two small arrays should not wait for the library that draws.
        from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as shown:
            task = shown.add_task(what, total=None)
            yield lambda done, total: shown.update(task, completed=done, total=total)
