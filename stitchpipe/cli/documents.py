"""What is known of a run, a model or a layer, as one document: for programs as it is, for people indented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.asking import WorkspaceError
from stitchpipe.cli.rows_out import as_json
from stitchpipe.cli.store_tables import by_model

if TYPE_CHECKING:
    from rich.console import RenderableType

    from stitchpipe.asking.workspace import Workspace
    from storage import SealedLayer


def document(workspace: Workspace, address: str | None) -> dict[str, Any]:
    """Return what is known of a run, of ``MODEL``, or of ``MODEL/LAYER``, as JSON has it.

    Raises
    ------
    WorkspaceError
        The store holds no such model or layer.
    """
    if address is None:
        return _of_run(workspace)
    model, layer = _split(workspace, address)
    layers = [
        _of_layer(workspace, sealed)
        for sealed in workspace.store.representations(model=model)
        if layer in (None, sealed.address.layer)
    ]
    if not layers:
        raise WorkspaceError(
            where=workspace.place.url,
            expected="MODEL or MODEL/LAYER of this store",
            found=f"'{address}'",
            remedy=f"Layers of {model} are {', '.join(workspace.layers(model))}.",
        )
    return {"run": workspace.place.url, "model": model, "layers": layers}


def _split(workspace: Workspace, address: str) -> tuple[str, str | None]:
    """Return a model and perhaps a layer; names of models may hold slashes, those of layers do not."""
    model, _, layer = address.rpartition("/")
    return (address, None) if address in workspace.models() or not model else (model, layer)


def _of_run(workspace: Workspace) -> dict[str, Any]:
    place = workspace.place
    models = by_model(workspace).to_dict("records")
    shown = place.findings()
    return {
        "run": place.url,
        "store": place.store_url,
        "sweep": None if shown is None else shown["sweep"],
        "numbers": None if shown is None else shown["numbers"],
        "page": f"{place.url}/report/index.html" if shown is not None else None,
        "bytes": sum(int(model["bytes"]) for model in models),
        "models": models,
        "findings": [] if shown is None else shown["findings"],
        "failed": [] if shown is None else shown["failed"],
    }


def _of_layer(workspace: Workspace, sealed: SealedLayer) -> dict[str, Any]:
    stored = workspace.store.representation(sealed.address, fingerprint=sealed.fingerprint)
    at = sealed.address
    return {
        "dataset": at.dataset,
        "split": at.split,
        "layer": at.layer,
        "shape": list(stored.shape),
        "dtype": str(stored.dtype),
        "bytes": sealed.n_bytes,
        "row_groups": len(stored.row_groups),
        "fingerprint": stored.fingerprint,
        "content_digest": stored.digest,
        "samples_digest": stored.sample_digest,
        "provenance": dict(stored.provenance),
    }


def for_people(facts: dict[str, Any]) -> list[RenderableType]:
    """Return a document with a heading for each layer, or for the run and each model."""
    from rich.text import Text

    parts: list[RenderableType] = []
    entries = "layers" if "layers" in facts else "models"
    head = {key: value for key, value in facts.items() if key not in (entries, "findings", "failed")}
    parts += _block(facts["run"] if entries == "models" else f"{facts['run']}, {facts['model']}", head)
    for entry in facts[entries]:
        name = entry["layer"] if entries == "layers" else entry["model"]
        parts += _block(f"{entry.get('split', entry['dataset'])} {name}", entry)
    if facts.get("findings"):
        parts.append(Text(f"{len(facts['findings'])} findings: --format json, or the page", style="dim"))
    return parts


def _block(title: str, facts: dict[str, Any]) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    view = Table.grid(padding=(0, 2))
    view.add_column(no_wrap=True, style="dim")
    view.add_column(overflow="fold")
    for key, value in facts.items():
        told = as_json(value).strip() if isinstance(value, dict | list) else str(value)
        view.add_row(Text(f"  {key}"), Text(told))
    return [Text(title, style="bold"), view]
