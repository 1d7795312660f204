"""What a run knows beside the numbers of pairs, as tables to ask: representations, models, single layers, commands.

They are made from records and manifests alone: no network is built, and of the declaration only its text is read.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from stitchpipe.results.beside import TableBeside
from stitchpipe.run import deletions, layer_numbers
from stitchpipe.run.file_names import TIMES, inspection_record, model_record
from stitchpipe.run.kept_declarations import kept_text
from stitchpipe.run.record_tables import record_table
from storage import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stitchpipe.run.place import RunPlace
    from storage import EvictedLayer, SealedLayer, Store

_REPRESENTATIONS: Final = {
    "dataset": (pa.string(), "the data set's name in the store"),
    "split": (pa.string(), "`train`, `test`, or an augmented one"),
    "model": (pa.string(), "the model's name"),
    "layer": (pa.string(), "the layer's name"),
    "shape": (pa.string(), "samples first, then channels first: `450×16×8×8`"),
    "n_samples": (pa.int64(), "images"),
    "dtype": (pa.string(), "of the stored values"),
    "bytes": (pa.int64(), "on the disk; of an evicted one what it took"),
    "state": (pa.string(), "`stored` or `evicted`"),
    "fingerprint": (pa.string(), "digest of all that made the dump"),
}
_MODELS: Final = {
    "model": (pa.string(), "the model's name"),
    "architecture": (pa.string(), "as the sweep declares it; null of activations without a network"),
    "origin": (
        pa.string(),
        "where its weights come from: `train`, `weights`, `pretrained`, `untrained`; or `ingested`, `control`",
    ),
    "image": (pa.string(), "the shape of the images that it takes"),
    "layers": (
        pa.int64(),
        "layers that it has, functions inside modules not counted; null before it is inspected",
    ),
    "cuts": (pa.int64(), "those of them that can be stitched into"),
    "test_accuracy": (pa.float64(), "of the network itself; null where it was not measured"),
    "final_loss": (pa.float64(), "of a training that was done here"),
    "weights": (pa.string(), "digest of its weights"),
    "layers_stored": (pa.int64(), "layers that the store holds of it"),
    "bytes": (pa.int64(), "what these take on the disk, over all splits"),
}
_RUNS: Final = {
    "ended": (pa.string(), "when the command ended, UTC"),
    "command": (pa.int64(), "its number, from 0; the last 50 are remembered"),
    "step": (pa.string(), "one of its steps"),
    "units": (pa.int64(), "units of work that were tried"),
    "wall_s": (pa.float64(), "from the beginning of the first of them to the end of the last; steps overlap"),
    "busy_s": (pa.float64(), "the sum over the units"),
    "total_s": (pa.float64(), "of the whole command"),
    "processes": (pa.int64(), "worker processes"),
}
_ORIGINS: Final = ("train", "weights", "pretrained", "untrained", "ingested", "control")


def tables_beside(place: RunPlace) -> tuple[TableBeside, ...]:
    """Return the tables of a run beside its results; nothing is read before a question names one."""
    return (
        TableBeside("representations", "what the store holds of a layer on a split", _meanings(_REPRESENTATIONS),
                    lambda: record_table(_REPRESENTATIONS, _representations(_store(place)))),
        TableBeside("models", "a model of the sweep that was worked on last, or of the store", _meanings(_MODELS),
                    lambda: record_table(_MODELS, _models(place))),
        TableBeside("layers", layer_numbers.MEANING, _meanings(layer_numbers.COLUMNS), place.layer_numbers.table),
        TableBeside("deletions", deletions.MEANING, _meanings(deletions.COLUMNS), place.deletions.table),
        TableBeside("runs", "a step of a command that worked on the run", _meanings(_RUNS),
                    lambda: record_table(_RUNS, _runs(place))),
    )  # fmt: skip


def _meanings(columns: Mapping[str, tuple[pa.DataType, str]]) -> dict[str, str]:
    return {name: meaning for name, (_, meaning) in columns.items()}


def _store(place: RunPlace) -> Store | None:
    try:
        return place.open_store()
    except NotFoundError:  # a run that keeps no activations
        return None


def _representations(store: Store | None) -> list[dict[str, Any]]:
    if store is None:
        return []
    held: list[tuple[SealedLayer | EvictedLayer, str]] = [
        *((layer, "stored") for layer in store.representations()),
        *((layer, "evicted") for layer in store.evicted()),
    ]
    rows = [
        {
            "dataset": layer.address.dataset, "split": layer.address.split, "model": layer.address.model,
            "layer": layer.address.layer, "shape": _times(layer.shape), "n_samples": layer.shape[0],
            "dtype": layer.dtype, "bytes": layer.n_bytes, "state": state, "fingerprint": layer.fingerprint,
        }
        for layer, state in held
    ]  # fmt: skip
    return sorted(rows, key=lambda row: [row[key] for key in ("dataset", "split", "model", "layer", "state")])


def _models(place: RunPlace) -> list[dict[str, Any]]:
    text = kept_text(place)
    declared = {model["name"]: model for model in tomllib.loads(text or "").get("models", [])}
    stored = _representations(_store(place))
    names = [*declared, *sorted({row["model"] for row in stored} - declared.keys())]
    wanted = [record for name in names for record in (model_record(name), inspection_record(name))]
    records = place.files.records_of(wanted, "models")
    return [
        {
            **_declared(declared.get(name, {"name": name})),
            **_inspected(records.get(inspection_record(name))),
            **_weights(records.get(model_record(name))),
            **_held(row for row in stored if row["model"] == name and row["state"] == "stored"),
        }
        for name in names
    ]


def _declared(model: Mapping[str, Any]) -> dict[str, Any]:
    origin = next((key for key in _ORIGINS if model.get(key) not in (None, False)), None)
    return {"model": model["name"], "architecture": model.get("architecture"), "origin": origin}


def _inspected(record: Mapping[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {}
    inspection = record["inspection"]
    layers = [layer for layer in inspection["layers"] if not layer["is_function"]]
    cuts = sum(layer["is_cut"] for layer in layers)
    return {"image": _times(inspection["image"]), "layers": len(layers), "cuts": cuts}


def _weights(record: Mapping[str, Any] | None) -> dict[str, Any]:
    if record is None:
        return {}
    return {
        **{key: record.get(key) for key in ("test_accuracy", "final_loss")},
        "weights": record.get("weights_digest"),
    }


def _held(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    held = list(rows)
    return {"layers_stored": len({row["layer"] for row in held}), "bytes": sum(row["bytes"] for row in held)}


def _runs(place: RunPlace) -> list[dict[str, Any]]:
    commands = (place.files.record(TIMES) or {"commands": []})["commands"]
    return [
        {**step, "command": number, **{key: command[key] for key in ("ended", "total_s", "processes")}}
        for number, command in enumerate(commands)
        for step in command["steps"]
    ]


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))
