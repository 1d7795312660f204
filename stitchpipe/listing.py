"""A run's contents as tables for the terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe.workspace import WorkspaceError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from stitchpipe.workspace import Workspace

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
    """Return the sealed representations, one row each."""
    view = Table(title=str(workspace.root), title_justify="left")
    for name in ("data set", "split", "model", "layer", "samples", "shape", "dtype", "dump"):
        view.add_column(name, overflow="fold")
    for found in workspace.store.representations():
        at = found.address
        one = workspace.store.representation(at, fingerprint=found.fingerprint)
        cells = (
            at.dataset,
            at.split,
            at.model,
            at.layer,
            str(one.n_samples),
            _shape(one.shape[1:]),
            str(one.dtype),
        )
        view.add_row(*map(Text, cells), found.fingerprint[:SHORT])
    return view


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
    if address in workspace.models():
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
