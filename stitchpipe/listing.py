"""A run's contents as tables for the terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe.sizes import size_of
from stitchpipe.workspace import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from rich.console import RenderableType

    from stitchpipe.workspace import Workspace
    from storage import Entry, EvictedLayer, Garbage, Problem, Redo, SealedLayer

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
    view = Table(title=str(workspace.root), title_justify="left")
    for name in ("data set", "split", "model", "layer", "shape", "dtype", "size", "dump", ""):
        whole = name in ("layer", "size", "")
        view.add_column(name, overflow="fold", no_wrap=whole, justify="right" if name == "size" else "left")
    sealed: list[tuple[SealedLayer | EvictedLayer, str]] = [
        (found, "") for found in workspace.store.representations()
    ]
    gone = [(found, "evicted") for found in workspace.store.evicted()]
    for found, state in sorted([*sealed, *gone], key=lambda one: (one[0].address, one[0].fingerprint)):
        at = found.address
        cells = (
            at.dataset,
            at.split,
            at.model,
            at.layer,
            _shape(found.shape),
            found.dtype,
            size_of(found.n_bytes),
            found.fingerprint[:SHORT],
            state,
        )
        view.add_row(*map(Text, cells), style="dim" if state else None)
    return view


def problems(found: Sequence[Problem], title: str) -> Table:
    """Return what is wrong with a store, one row per problem."""
    view = Table(title=title, title_justify="left", show_lines=True)
    for name in ("what", "file", "expected", "found", "remedy"):
        view.add_column(name, overflow="fold")
    for one in found:
        group = "" if one.row_group is None else f"\nrow group {one.row_group}"
        cells = (f"{one.representation}{group}", one.file, one.expected, one.found, one.remedy)
        view.add_row(*map(Text, cells))
    return view


def redo(found: Sequence[Redo], title: str) -> Table:
    """Return what must be dumped again, one row per layer."""
    view = Table(title=title, title_justify="left")
    for name in ("data set", "split", "model", "layer", "dump", "row groups"):
        view.add_column(name, overflow="fold")
    for one in found:
        at, groups = one.address, ", ".join(map(str, one.row_groups)) or "none: it is only sealed again"
        cells = (at.dataset, at.split, at.model, at.layer, one.fingerprint[:SHORT], groups)
        view.add_row(*map(Text, cells))
    return view


def garbage(found: Garbage) -> Table:
    """Return what can be removed, one row per dump, and beside it what is left alone and why."""
    view = Table(title="Garbage", title_justify="left")
    for name in ("where", "what", "files", "size", "last modified"):
        view.add_column(name, overflow="fold", justify="right" if name in ("files", "size") else "left")
    rows: list[tuple[str, str, Sequence[Entry]]] = [
        ("commits/partial", "unfinished files", found.partial),
        ("commits/summaries/work", "summaries of unfinished work", found.work),
    ]
    rows += [
        (dump.dump, why, [one.entry for one in dump.leftovers if one.why == why])
        for dump in found.dumps
        for why in dict.fromkeys(one.why for one in dump.leftovers)
    ]
    rows.append(("commits/quarantine", "quarantined; kept without --quarantine", found.quarantined))
    for where, what, entries in rows:
        if entries:
            newest = minute_of(max(entry.modified_s for entry in entries))
            size = size_of(sum(entry.n_bytes for entry in entries))
            view.add_row(*map(Text, (where, what, str(len(entries)), size, newest)))
    for where, newest_s in found.in_use:
        view.add_row(Text(where), "perhaps in use: left alone", "", "", minute_of(newest_s))
    return view


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
        return Group(Text(f"{workspace.root}: models {models}"), representations(workspace))
    model, _, layer = address.rpartition("/")
    if address in workspace.models() or not model:
        model, layer = address, ""
    chosen = [layer] if layer else workspace.layers(model)
    parts: list[RenderableType] = []
    for found in workspace.store.representations(model=model):
        if found.address.layer in chosen:
            one = workspace.store.representation(found.address, fingerprint=found.fingerprint)
            facts = {
                "fingerprint": one.fingerprint,
                "content digest": one.digest,
                "samples digest": one.sample_digest,
                "shape": _shape(one.shape),
                "dtype": str(one.dtype),
                "row groups": len(one.row_groups),
            }
            parts.append(Text(f"{found.address.split} {model}/{found.address.layer}", style="bold"))
            parts.append(
                Text(json.dumps({**facts, "provenance": dict(one.provenance)}, indent=2, default=str))
            )
    if not parts:
        raise WorkspaceError(
            where=str(workspace.root),
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
