"""The last step: findings and the page, from the results that the sweep stands for."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stitchpipe.config import ConfigError, ControlModel, NetworkModel
from stitchpipe.graph import LOGITS
from stitchpipe.report import rendered
from stitchpipe.run.declared import permuted_model
from stitchpipe.run.inputs import versions
from stitchpipe.run.keys import digest_of
from stitchpipe.run.ledger import Ledger
from stitchpipe.run.names import SPLITS, TEST, LayerName
from stitchpipe.run.place import model_record
from stitchpipe.run.run_keys import index_keys, pair_keys, stitch_key
from stitchpipe.run.stitches import ends_of
from stitchpipe.steps.comparing.predictions import AGREEMENT, prediction_keys
from stitchpipe.studies import findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.config import Model
    from stitchpipe.results import Keys
    from stitchpipe.run import Run
    from stitchpipe.run.activations import Ends
    from stitchpipe.studies import Finding


REPORT_VERSION: Final = 1
"""Raised when the same results would be shown in another way."""


def report(run: Run) -> dict[str, Any]:
    """Publish ``report/index.html``, its figures and ``report/findings.json``; return the findings' record.

    Only results that this sweep stands for are shown: those of other weights or settings may lie in the same place. A
    page whose results, layers, provenance and failures are those of now stays as it is; no number is read for it.

    Raises
    ------
    ConfigError
        Nothing was dumped, compared or stitched yet.
    storage.StoreError
        A part of the results is damaged, or the report cannot be written.
    """
    names = run.layers.names()
    ends = run.activations.ends({*names, *ends_of(run.stitches)})
    provenance, failed = _provenance(run), _failed(run)
    inputs = _inputs(run, ends, provenance, failed)
    shown = run.place.findings()
    if shown is not None and shown.get("inputs") == inputs and run.place.has_page:
        return shown
    wanted = _wanted(run, {name: ends[name] for name in names})
    compared = run.results.compared(wanted)
    n_pairs = len(np.unique(np.concatenate([np.empty(0, np.uint64), *wanted.values()])))
    there = set(run.results.keys())
    stitches = [stitch_key(run, planned, ends) for planned in run.stitches]
    stitched = run.results.read([key for key in stitches if key in there])
    results = pd.concat([compared, stitched], ignore_index=True)
    if results.empty:
        raise ConfigError(
            where=run.place.url,
            expected="results of this sweep",
            found="none",
            remedy="Run `stitchpipe compare` or `stitchpipe stitch` with it first.",
        )
    predicted = [LOGITS] if any(AGREEMENT in table.indices for table in run.sweep.compare) else []
    order = {model: [info.name for info in infos] + predicted for model, infos in run.layers.table.items()}
    answers = _findings(run, results)
    page = rendered(
        results, answers, layer_order=order, provenance=provenance, title=run.sweep.name, failed=failed
    )
    record = {
        "inputs": inputs,
        "sweep": run.sweep.name,
        "pairs_missing": n_pairs - (0 if compared.empty else compared["key"].nunique()),
        "stitches_missing": sum(key not in there for key in stitches),
        "left_out": _left_out(run),
        "numbers": len(results),
        "failed": failed,
        "findings": [{"title": finding.question, **finding.record()} for finding in answers],
    }
    run.place.publish_report(page, record)
    return record


def _inputs(run: Run, ends: Ends, provenance: Mapping[str, Any], failed: Sequence[Mapping[str, str]]) -> str:
    """Return a digest of everything that the page follows from; of the results, of the files that hold them."""
    layers = [
        (str(name), end.side.digests, end.train.sample_digest, end.test.sample_digest, end.test.fingerprint)
        for name, end in ends.items()
    ]
    sweep = run.sweep.model_dump(mode="json")
    return digest_of(
        REPORT_VERSION, versions(), sweep, sorted(layers), provenance, failed, run.results.contents()
    )


def _failed(run: Run) -> list[dict[str, str]]:
    """Return what failed of the sweep and why, by unit; of models that are not the sweep's nothing is told."""
    models = {*run.sweep.left_out, *(model.name for model in run.sweep.models)}
    rows = []
    for unit, outcome in sorted(Ledger(run.place.files).outcomes().items()):
        is_asked = outcome.step in ("compare", "fit maps", "report") or bool(models & {*unit.split(" ")})
        if outcome.state == "failed" and outcome.reason is not None and is_asked:
            rows.append({"unit": unit, "why": str(outcome.reason), "tried": f"{outcome.attempts} ×"})
    named = {model for row in rows for model in row["unit"].split(" ")}
    rows += [
        {"unit": model, "why": "left out, because of what failed before", "tried": ""}
        for model in sorted(run.sweep.left_out - named)
    ]
    return rows


def _wanted(run: Run, ends: Ends) -> dict[str, Keys]:
    """Return the keys of the numbers that this sweep asks for, by index."""
    keys: defaultdict[str, list[Keys]] = defaultdict(list)
    for table in run.sweep.compare:
        declared = [index for index in table.indices if index != AGREEMENT]
        for index, of_pairs in index_keys(pair_keys(run, ends, table), declared).items():
            keys[index].append(of_pairs.ravel())
        predicted = [int(key, 16) for key in prediction_keys(run, table).values()]
        keys[AGREEMENT].append(np.array(predicted, np.uint64))
    return {index: np.concatenate(of_index) for index, of_index in keys.items()}


def _findings(run: Run, results: pd.DataFrame) -> list[Finding]:
    """Return what is found about layers. What networks predict is none, and would move the depths of those that are."""
    return findings(
        results[(results["source_layer"] != LOGITS) & (results["target_layer"] != LOGITS)],
        {model: [info.name for info in infos] for model, infos in run.layers.table.items()},
        controls=[model.name for model in run.sweep.models if isinstance(model, ControlModel)],
    )


def _architecture(declared: Model, identity: Mapping[str, Any]) -> str:
    if isinstance(declared, ControlModel):
        origin = permuted_model(declared)
        kind = declared.control.kind.replace("_", " ")
        return f"none: {kind}" + (f" of {origin}" if origin is not None else "")
    return str(identity.get("architecture", "not known: ingested"))


def _provenance(run: Run) -> dict[str, Any]:
    """Return what the run was made of, by subject."""
    sweep, models, made_with = run.sweep, dict[str, dict[str, Any]](), dict[str, Any]()
    for declared in sweep.models:
        record = run.place.files.record(model_record(declared.name)) or {}
        first = run.layers.table[declared.name][0].name
        has_logits = isinstance(declared, NetworkModel) and declared.name not in run.layers.headless
        shown = LOGITS if has_logits else first
        content = run.activations.layer(LayerName(declared.name, shown), TEST)
        made_with = dict(content.provenance)
        accuracy = record.get("test_accuracy")
        models[declared.name] = {
            "architecture": _architecture(declared, content.identity),
            "test accuracy": "not measured" if accuracy is None else accuracy,
            "weights": str(content.identity.get("weights") or "not known")[:16],
            "dump": content.fingerprint[:12],
        }
    settings = sweep.model_dump(mode="json", include={"data", "dump", "ood"}, exclude_none=True)
    return {
        "models": models,
        "data": _data(run),
        "settings": {
            f"{section} {key}": value for section, part in settings.items() for key, value in part.items()
        },
        "made with": made_with,
        "left out": _left_out(run),
    }


def _left_out(run: Run) -> dict[str, str]:
    """Return the models that the sweep had to do without, each with the unit that failed and why."""
    ledger, told = Ledger(run.place.files), dict[str, str]()
    for model in sorted(run.sweep.left_out):
        units = [f"inspect {model}", f"train {model}", *(f"dump {model} {split}" for split in SPLITS)]
        ended = (ledger.of(unit) for unit in units)
        failed = next((each for each in ended if each is not None and each.reason is not None), None)
        told[model] = "needs a model that failed" if failed is None else f"{failed.unit}: {failed.reason}"
    return told


def _data(run: Run) -> dict[str, dict[str, Any]]:
    """Return what is known of the splits."""
    store = run.store
    splits = {name: store.split(run.sweep.data.label, name) for name in run.ingested.splits(store)}
    return {
        name: {
            "samples": split.n_samples,
            "row groups": len(split.row_groups),
            "samples digest": split.sample_digest[:16],
            "data digest": str(split.provenance.get("data_digest", ""))[:16],
        }
        for name, split in splits.items()
    }
