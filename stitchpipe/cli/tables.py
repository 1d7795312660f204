"""A run's contents as tables for the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from stitchpipe.cli.store_tables import SHORT
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.steps.maintenance_outcomes import Leftovers
    from storage import Entry, FileGarbage, Garbage, Problem, Redo


def problems(problems_found: Sequence[Problem], title: str) -> Table:
    """Return what is wrong with a run or a store, one row per problem."""
    view = Table(title=title, title_justify="left", show_lines=True)
    for name in ("what", "file", "expected", "found", "remedy"):
        view.add_column(name, overflow="fold")
    for problem in problems_found:
        group = "" if problem.row_group is None else f"\nrow group {problem.row_group}"
        what = f"{problem.representation}{group}"
        cells = (what, problem.file, problem.expected, problem.found, problem.remedy)
        view.add_row(*map(Text, cells))
    return view


def redo(layers: Sequence[Redo], title: str) -> Table:
    """Return what must be dumped again, one row per layer."""
    view = Table(title=title, title_justify="left")
    for name in ("data set", "split", "model", "layer", "dump", "row groups"):
        view.add_column(name, overflow="fold")
    for layer in layers:
        at, groups = layer.address, ", ".join(map(str, layer.row_groups)) or "none: it is only sealed again"
        cells = (at.dataset, at.split, at.model, at.layer, layer.fingerprint[:SHORT], groups)
        view.add_row(*map(Text, cells))
    return view


def garbage(leftovers: Leftovers) -> Table:
    """Return what can be removed, one row per dump or kind of file, and beside it what is left alone and why."""
    view = Table(title="Garbage", title_justify="left")
    for name in ("where", "what", "files", "size", "last modified"):
        view.add_column(name, overflow="fold", justify="right" if name in ("files", "size") else "left")
    beside = ("summaries", "summaries of unfinished work", leftovers.summaries)
    rows = [*_store_rows(leftovers.store), *_file_rows(leftovers.files), beside]
    for where, what, entries in rows:
        if entries:
            newest = minute_of(max(entry.modified_s for entry in entries))
            size = size_of(sum(entry.n_bytes for entry in entries))
            view.add_row(*map(Text, (where, what, str(len(entries)), size, newest)))
    for where, newest_s in () if leftovers.store is None else leftovers.store.in_use:
        view.add_row(Text(where), "perhaps in use: left alone", "", "", minute_of(newest_s))
    return view


def _store_rows(store: Garbage | None) -> list[tuple[str, str, Sequence[Entry]]]:
    if store is None:
        return []
    return [
        ("commits/partial", "unfinished files", store.partial),
        ("commits/summaries/work", "summaries of unfinished work", store.work),
        *(
            (dump.dump, why, [leftover.entry for leftover in dump.leftovers if leftover.why == why])
            for dump in store.dumps
            for why in dict.fromkeys(leftover.why for leftover in dump.leftovers)
        ),
        ("commits/quarantine", "quarantined; kept without --quarantine", store.quarantined),
    ]


def _file_rows(files: FileGarbage | None) -> list[tuple[str, str, Sequence[Entry]]]:
    if files is None:
        return []
    return [
        ("the run", "unfinished files", files.partial),
        ("the run", "bytes that no name leads to", files.uncommitted),
        ("the run", "older versions", files.superseded),
        ("the run", "quarantined; kept without --quarantine", files.quarantined),
    ]


def minute_of(at_s: float) -> str:
    """Return a minute in UTC; `at_s` counts seconds since the epoch."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(at_s))
