"""The last step: findings and the page, from the results that the sweep stands for."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.config import ConfigError, ControlModel, NetworkModel, Sweep
from stitchpipe.graph import LOGITS
from stitchpipe.report import write_report
from stitchpipe.studies import findings
from stitchpipe.sweep.controls import permuted_model
from stitchpipe.sweep.ends import ends_of, index_key, pair_keys, stitch_key
from stitchpipe.sweep.folder import Folder, opened_store, read_record, write_record
from stitchpipe.sweep.ingested import stored_splits
from stitchpipe.sweep.jobs import LayerName, all_layers, jobs
from stitchpipe.sweep.networks import TEST, layer_table
from stitchpipe.sweep.predictions import AGREEMENT, prediction_keys
from stitchpipe.sweep.unkept import content, contents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.config import Model
    from stitchpipe.studies import Finding
    from stitchpipe.sweep.jobs import LayerTable


def report(sweep: Sweep, folder: Folder) -> dict[str, Any]:
    """Write ``report/index.html``, its figures and ``report/findings.json``; return the findings' record.

    Only results that this sweep stands for are shown: those of other weights or settings may lie in the same
    catalogue.

    Raises
    ------
    ConfigError
        Nothing was dumped, compared or stitched yet.
    stitchpipe.report.ReportError
        The folder cannot be written.
    """
    table = layer_table(sweep, folder)
    declared = jobs(sweep, table)
    ends = contents(sweep, folder, {*all_layers(table), *ends_of(declared)})
    ordered = {name: ends[name] for name in all_layers(table)}
    pairs: defaultdict[str, set[str]] = defaultdict(set)
    for one in sweep.compare:
        for key in pair_keys(sweep, ordered, one).values():
            for index in one.indices:
                pairs[index_key(key, index)].add(index)
        for key in prediction_keys(sweep, folder, one).values():
            pairs[key] = {AGREEMENT}
    compared = folder.catalogue.compared(pairs)
    stitches = [stitch_key(sweep, job, ends) for job in declared]
    stitched = folder.catalogue.read([key for key in stitches if folder.catalogue.has(key)])
    results = pd.concat([compared, stitched], ignore_index=True)
    if results.empty:
        raise ConfigError(
            where=str(folder.root),
            expected="results of this sweep",
            found="none",
            remedy="Run `stitchpipe compare` or `stitchpipe stitch` with it first.",
        )
    predicted = [LOGITS] if any(AGREEMENT in one.indices for one in sweep.compare) else []
    order = {model: [info.name for info in infos] + predicted for model, infos in table.items()}
    found = _findings(sweep, table, results)
    write_report(
        folder.report,
        results,
        found,
        layer_order=order,
        provenance=_provenance(sweep, folder, table),
        title=sweep.name,
    )
    record = {
        "sweep": sweep.name,
        "pairs_missing": len(pairs) - (0 if compared.empty else compared["key"].nunique()),
        "stitches_missing": sum(not folder.catalogue.has(key) for key in stitches),
        "numbers": len(results),
        "findings": [{"title": one.question, **one.record()} for one in found],
    }
    write_record(folder.findings, record)
    return record


def _findings(sweep: Sweep, table: LayerTable, results: pd.DataFrame) -> list[Finding]:
    """Return what is found about layers. What networks predict is none, and would move the depths of those that are."""
    return findings(
        results[(results["source_layer"] != LOGITS) & (results["target_layer"] != LOGITS)],
        {model: [info.name for info in infos] for model, infos in table.items()},
        controls=[model.name for model in sweep.models if isinstance(model, ControlModel)],
    )


def _architecture(declared: Model, identity: Mapping[str, Any]) -> str:
    if isinstance(declared, ControlModel):
        of = permuted_model(declared)
        return f"none: {declared.control.kind.replace('_', ' ')}" + (f" of {of}" if of is not None else "")
    return str(identity.get("architecture", "not known: ingested"))


def _provenance(sweep: Sweep, folder: Folder, table: LayerTable) -> dict[str, Any]:
    """Return what the run was made of, by subject."""
    store = opened_store(sweep, folder)
    models: dict[str, dict[str, Any]] = {}
    made_with: dict[str, Any] = {}
    for declared in sweep.models:
        record = read_record(folder.model_record(declared.name)) or {}
        shown = LOGITS if isinstance(declared, NetworkModel) else table[declared.name][0].name
        one = content(sweep, folder, store, LayerName(declared.name, shown), TEST)
        made_with = dict(one.provenance)
        accuracy = record.get("test_accuracy")
        models[declared.name] = {
            "architecture": _architecture(declared, one.identity),
            "test accuracy": "not measured" if accuracy is None else accuracy,
            "weights": str(one.identity.get("weights") or "not known")[:16],
            "dump": one.fingerprint[:12],
        }
    splits = {name: store.split(sweep.data.label, name) for name in stored_splits(sweep, store)}
    data = {
        name: {
            "samples": split.n_samples,
            "row groups": len(split.row_groups),
            "samples digest": split.sample_digest[:16],
            "data digest": str(split.provenance.get("data_digest", ""))[:16],
        }
        for name, split in splits.items()
    }
    settings = sweep.model_dump(mode="json", include={"data", "dump", "ood"}, exclude_none=True)
    return {
        "models": models,
        "data": data,
        "settings": {
            f"{section} {key}": value for section, part in settings.items() for key, value in part.items()
        },
        "made with": made_with,
    }
