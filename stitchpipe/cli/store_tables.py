"""What lies in a run's store as rows: by model with totals, or layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from stitchpipe.asking import WorkspaceError
from stitchpipe.globs import meant_by
from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from stitchpipe.asking.workspace import Workspace
    from storage import EvictedLayer, SealedLayer

SHORT: Final = 12
"""Hex digits of a digest that are shown in lists; `show` prints it whole."""
_LAYER: Final = ("dataset", "split", "model", "layer", "shape", "dtype", "bytes", "dump", "state")
_MODEL: Final = ("dataset", "model", "layers", "splits", "bytes", "evicted_bytes", "dumps")


def by_layer(workspace: Workspace, models: str = "*") -> pd.DataFrame:
    """Return the sealed and the evicted representations, one row each, with their bytes on the disk.

    Of an evicted one these are the bytes that it had.

    Raises
    ------
    WorkspaceError
        The glob `models` fits no model.
    """
    rows: list[tuple[SealedLayer | EvictedLayer, str]] = [
        *((layer, "stored") for layer in workspace.store.representations()),
        *((layer, "evicted") for layer in workspace.store.evicted()),
    ]
    rows.sort(key=lambda row: (row[0].address, row[0].fingerprint))
    named = set(meant_by(models, {layer.address.model for layer, _ in rows}))
    chosen = [row for row in rows if row[0].address.model in named]
    if rows and not chosen:
        known = sorted({layer.address.model for layer, _ in rows})
        raise WorkspaceError(
            where=workspace.place.url,
            expected="a glob over names of models",
            found=f"'{models}'",
            remedy=f"There is {', '.join(known)}.",
        )
    return pd.DataFrame([_row(layer, state) for layer, state in chosen], columns=list(_LAYER))


def _row(layer: SealedLayer | EvictedLayer, state: str) -> tuple[object, ...]:
    at = layer.address
    shape = "×".join(map(str, layer.shape))
    return (
        at.dataset,
        at.split,
        at.model,
        at.layer,
        shape,
        layer.dtype,
        layer.n_bytes,
        layer.fingerprint,
        state,
    )


def by_model(workspace: Workspace) -> pd.DataFrame:
    """Return the models of a store, one row each: how many layers, which splits, and how many bytes on the disk."""
    layers = by_layer(workspace)
    rows = []
    for (dataset, model), of_model in layers.groupby(["dataset", "model"], sort=True):
        gone = of_model["state"] == "evicted"
        rows.append(
            (
                dataset,
                model,
                of_model["layer"].nunique(),
                ", ".join(sorted(of_model["split"].unique())),
                int(of_model.loc[~gone, "bytes"].sum()),
                int(of_model.loc[gone, "bytes"].sum()),
                of_model["dump"].nunique(),
            )
        )
    return pd.DataFrame(rows, columns=list(_MODEL))


def layers_for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `by_layer` as people read them: sizes with units, short digests, no state that is the rule."""
    shown = frame.assign(bytes=frame["bytes"].map(size_of), dump=frame["dump"].str[:SHORT])
    return shown.drop(columns="state") if (frame["state"] == "stored").all() else shown


def models_for_people(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `by_model` as people read them: sizes with units, and a last row with the totals."""
    total = {"dataset": "all", "model": f"{len(frame)} models", "splits": ""}
    counts = {name: int(frame[name].sum()) for name in ("layers", "bytes", "evicted_bytes")}
    whole = pd.concat([frame.drop(columns="dumps"), pd.DataFrame([{**total, **counts}])], ignore_index=True)
    shown = whole.assign(bytes=whole["bytes"].map(size_of), evicted_bytes=whole["evicted_bytes"].map(size_of))
    return shown if counts["evicted_bytes"] else shown.drop(columns="evicted_bytes")
