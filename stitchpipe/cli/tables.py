"""A run's contents as tables for the terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe.asking import WorkspaceError
from stitchpipe.run.place import TIMES
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from rich.console import RenderableType

    from stitchpipe.asking.workspace import Workspace
    from stitchpipe.run import RunPlace
    from stitchpipe.steps.maintenance import Leftovers
    from storage import Entry, EvictedLayer, FileGarbage, Garbage, Problem, Redo, SealedLayer

SHORT = 12
"""Hex digits of a digest that are shown in lists; `show` prints it whole."""


def table(frame: pd.DataFrame, title: str | None = None) -> Table:
    """Return a data frame as a table; numbers to six significant digits, missing values empty."""
    view = Table(title=title, title_justify="left")
    for column, kind in zip(frame.columns, frame.dtypes, strict=True):
        view.add_column(str(column), justify="right" if kind.kind in "iuf" else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        view.add_row(*(Text(_cell(value)) for value in row))
    return view


def representations(workspace: Workspace) -> Table:
    """Return the sealed and the evicted representations, one row each; of an evicted one the size it had."""
    view = Table(title=workspace.place.url, title_justify="left")
    for name in ("data set", "split", "model", "layer", "shape", "dtype", "size", "dump", ""):
        whole = name in ("layer", "size", "")
        view.add_column(name, overflow="fold", no_wrap=whole, justify="right" if name == "size" else "left")
    sealed: list[tuple[SealedLayer | EvictedLayer, str]] = [
        (sealed_layer, "") for sealed_layer in workspace.store.representations()
    ]
    gone = [(evicted, "evicted") for evicted in workspace.store.evicted()]
    for layer, state in sorted([*sealed, *gone], key=lambda row: (row[0].address, row[0].fingerprint)):
        at = layer.address
        cells = (
            at.dataset,
            at.split,
            at.model,
            at.layer,
            _shape(layer.shape),
            layer.dtype,
            size_of(layer.n_bytes),
            layer.fingerprint[:SHORT],
            state,
        )
        view.add_row(*map(Text, cells), style="dim" if state else None)
    return view


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
    rows = [*_store_rows(leftovers.store), *_file_rows(leftovers.files)]
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


def details(workspace: Workspace, address: str | None) -> RenderableType:
    """Return what is known of a run, of ``MODEL``, or of ``MODEL/LAYER``.

    Raises
    ------
    WorkspaceError
        The store holds no such model or layer.
    """
    if address is None:
        models = ", ".join(workspace.models())
        return Group(Text(f"{workspace.place.url}: models {models}"), representations(workspace))
    model, _, layer = address.rpartition("/")
    if address in workspace.models() or not model:
        model, layer = address, ""
    chosen = [layer] if layer else workspace.layers(model)
    parts: list[RenderableType] = []
    for sealed in workspace.store.representations(model=model):
        if sealed.address.layer in chosen:
            stored = workspace.store.representation(sealed.address, fingerprint=sealed.fingerprint)
            facts = {
                "fingerprint": stored.fingerprint,
                "content digest": stored.digest,
                "samples digest": stored.sample_digest,
                "shape": _shape(stored.shape),
                "dtype": str(stored.dtype),
                "row groups": len(stored.row_groups),
            }
            parts.append(Text(f"{sealed.address.split} {model}/{sealed.address.layer}", style="bold"))
            parts.append(
                Text(json.dumps({**facts, "provenance": dict(stored.provenance)}, indent=2, default=str))
            )
    if not parts:
        raise WorkspaceError(
            where=workspace.place.url,
            expected="MODEL or MODEL/LAYER of this store",
            found=f"'{address}'",
            remedy=f"Layers of {model} are {', '.join(workspace.layers(model))}.",
        )
    return Group(*parts)


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _cell(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def summary(place: RunPlace) -> RenderableType:
    """Return the findings of a finished run as a short table, and where everything lies."""
    record = place.findings() or {}
    view = Table(title="Findings", title_justify="left", show_lines=False, expand=False)
    view.add_column("question", overflow="fold", ratio=2)
    view.add_column("answer", overflow="fold", ratio=3)
    for finding in record.get("findings", []):
        view.add_row(Text(finding["question"]), Text(finding["answer"]))
    places = Table.grid(padding=(0, 2))
    for name, where in (
        ("report", f"{place.url}/report/index.html"),
        ("results", f"{place.url}/results"),
        ("store", place.store_url),
    ):
        places.add_row(name, Text(where, overflow="fold"))
    return Group(view, places)


def times(place: RunPlace) -> RenderableType:
    """Return how long the steps of the last command of a run took, as a short table."""
    record = place.files.record(TIMES) or {"commands": [{"steps": [], "total_s": 0.0}]}
    last = record["commands"][-1]
    view = Table(title="Seconds", title_justify="left", show_edge=False, box=SIMPLE_HEAD, show_footer=True)
    view.add_column("step", footer="all, with the start")
    view.add_column("units", justify="right")
    view.add_column("wall", justify="right", footer=f"{last['total_s']:.1f}")
    view.add_column("of all units", justify="right")
    for step in last["steps"]:
        view.add_row(step["step"], str(step["units"]), f"{step['wall_s']:.1f}", f"{step['busy_s']:.1f}")
    return view
