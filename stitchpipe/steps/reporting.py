"""The last step: findings and the page, from the results that the sweep stands for."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.asking.studied_run import deletions_asked, facts_of, layers_asked
from stitchpipe.config import ConfigError, ControlModel, NetworkModel
from stitchpipe.graph import LOGITS
from stitchpipe.report import Told, rendered
from stitchpipe.run.declared import permuted_model
from stitchpipe.run.file_names import curve_name, model_record
from stitchpipe.run.inputs import versions
from stitchpipe.run.inventory import take_inventory
from stitchpipe.run.keys import digest_of
from stitchpipe.run.ledger import Ledger
from stitchpipe.run.names import TEST, LayerName
from stitchpipe.run.run_keys import index_keys, pair_keys, stitch_key
from stitchpipe.run.stitches import ends_of
from stitchpipe.steps.awaiting import must_be_there, until_listed, writing_units
from stitchpipe.steps.comparing.predictions import AGREEMENT, prediction_keys
from stitchpipe.steps.examples import examples
from stitchpipe.steps.found_results import found_results
from stitchpipe.steps.highlights import highlights
from stitchpipe.studies import Evidence, answers, findings, of_deletions, of_layers
from stitchpipe.studies import stitches as stitched_side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from stitchpipe.config import Model
    from stitchpipe.results import Keys
    from stitchpipe.run import Run
    from stitchpipe.run.activations import Ends
    from stitchpipe.studies import Answer, Facts
    from stitchpipe.studies.stitches import LayerOrder


REPORT_VERSION: Final = 4
"""Raised when the same results would be shown in another way."""
_NEEDED: Final = "left out, because of what failed before"


def report(run: Run) -> dict[str, Any]:
    """Publish ``report/index.html``, its figures and ``report/findings.json``; return the findings' record.

    Of a part of a sweep they lie below ``report/parts``, so that the page of the whole stays. Behind them the inventory
    of the run is taken, by which `stitchpipe verify` misses what is removed later.

    Only results that this sweep stands for are shown: those of other weights or settings may lie in the same place. A
    page whose results, layers, provenance and failures are those of now stays as it is; no number is read for it.

    Raises
    ------
    ConfigError
        Nothing was dumped, compared or stitched yet.
    storage.StoreError
        A part of the results is damaged, or the report cannot be written.

    Notes
    -----
    Comparisons go from their files to the cells of matrices, row group by row group: memory is that of
    `stitchpipe.report.Gathering`, and not that of the results.
    """
    names = run.layers.names()
    ends = run.activations.ends({*names, *ends_of(run.stitches)})
    provenance, failed, layers = _provenance(run), _failed(run), layers_asked(run, ends)
    deletions = deletions_asked(run, ends)
    alone = [(row["key"], row["measure"]) for row in layers]
    alone += sorted({(row["key"], row["index"]) for row in deletions})
    inputs = _inputs(run, ends, provenance, failed, alone)
    part = run.sweep.name if run.sweep.part_of else None
    shown = run.place.findings(part)
    units = partial(writing_units, run)
    if shown is not None and shown.get("inputs") == inputs and run.place.has_page(part):
        is_late = (shown["pairs_missing"] or shown["stitches_missing"]) and must_be_there(run.place, units)
        if not is_late:
            take_inventory(run.place)
            return shown
    wanted = _wanted(run, {name: ends[name] for name in names})
    order, facts = _order(run), facts_of(run)
    stitches = [stitch_key(run, planned, ends) for planned in run.stitches]
    found = until_listed(run.place, partial(found_results, run, wanted, order, stitches), units)
    compared, rows, missing = found.compared, found.stitches, found.missing
    if not compared.matrices and rows.empty:
        raise ConfigError(
            where=run.place.url,
            expected="results of this sweep",
            found="none",
            remedy="Run `stitchpipe compare` or `stitchpipe stitch` with it first.",
        )
    stitched = stitched_side_by_side(rows, order)
    told = Told(
        title=run.sweep.name,
        compared=compared,
        stitched=stitched,
        answers=_answers(facts, compared.frame(facts), stitched, layers, deletions),
        layer_order=order,
        provenance=provenance,
        failed=failed,
        missing=[f"{count:,} {what}" for what, count in missing.items() if count],
        chance=facts.chance,
        curves=_curves(run, stitches),
        layers=layers,
        examples=examples(run, ends),
    )
    record = {"inputs": inputs, **_record(run, told, rows, missing)}
    run.place.publish_report(rendered(told), record, part)
    take_inventory(run.place)
    return record


def _record(run: Run, told: Told, stitches: pd.DataFrame, missing: Mapping[str, int]) -> dict[str, Any]:
    """Return what a page tells, as a small record: counts, what was left out, findings."""
    n_compared = sum(int((matrix.states != 0).sum()) for matrix in told.compared.matrices)
    return {
        "sweep": run.sweep.name,
        "pairs_missing": missing["pairs"],
        "stitches_missing": missing["stitches"],
        "stitches_left_out": len(run.planned_stitches.left_out),
        "left_out": _left_out(run, told.failed),
        "numbers": n_compared + len(stitches),
        "failed": told.failed,
        "highlights": highlights(told.compared, stitches),
        "findings": [{"title": finding.question, **finding.record()} for finding in findings(told.answers)],
    }


def _order(run: Run) -> LayerOrder:
    """Return every model's layers, from input to output; its logits stand behind them where they are compared."""
    predicted = [LOGITS] if any(AGREEMENT in table.indices for table in run.sweep.compare) else []
    return {model: [info.name for info in infos] + predicted for model, infos in run.layers.table.items()}


def _curves(run: Run, stitches: Sequence[str]) -> dict[str, list[float]]:
    """Return the losses of the trainings that were kept, by the key of their stitch."""
    files = run.place.files
    names = {curve_name(key): key for key in stitches}
    there = [file for file in files.listing("curves") if file.name in names]
    return {names[file.name]: json.loads(files.read(file))["losses"] for file in there}


def _inputs(
    run: Run,
    ends: Ends,
    provenance: Mapping[str, Any],
    failed: Sequence[Mapping[str, str]],
    numbers_of_layers: Sequence[tuple[str, str]],
) -> str:
    """Return a digest of everything that the page follows from; of the results, of the files that hold them."""
    layers = [
        (str(name), end.side.digests, end.train.sample_digest, end.test.sample_digest, end.test.fingerprint)
        for name, end in ends.items()
    ]
    sweep = run.sweep.model_dump(mode="json")
    return digest_of(
        *(REPORT_VERSION, versions(), sweep, sorted(layers), provenance, failed, run.results.contents()),
        numbers_of_layers,
    )


def _failed(run: Run) -> list[dict[str, str]]:
    """Return what failed of the sweep and why, by unit; of models that are not the sweep's nothing is told.

    Nor of reports: the page that tells it is the report that did not fail.
    """
    models = {*run.sweep.left_out, *(model.name for model in run.sweep.models)}
    rows = []
    for unit, outcome in sorted(Ledger(run.place.files).outcomes().items()):
        # Records of an earlier version have no subject; there a name ends at a space.
        subject = outcome.subject or tuple(unit.removeprefix(outcome.step).split())
        is_asked = outcome.step in ("compare", "fit maps") or bool(models & {*subject[:1]})
        if outcome.state == "failed" and outcome.reason is not None and is_asked:
            rows.append(
                {
                    "unit": unit,
                    "why": str(outcome.reason),
                    "tried": f"{outcome.attempts} ×",
                    "model": subject[0] if subject else "",
                }
            )
    named = {row["model"] for row in rows}
    rows += [
        {"unit": model, "why": _NEEDED, "tried": "", "model": model}
        for model in sorted(run.sweep.left_out - named)
    ]
    return rows


def _left_out(run: Run, failed: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the models that the sweep had to do without, each with the unit that failed and why."""
    first = {row["model"]: row for row in reversed(failed)}
    return {
        model: row["why"] if row["unit"] == model else f"{row['unit']}: {row['why']}"
        for model in sorted(run.sweep.left_out)
        if (row := first.get(model)) is not None
    }


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


def _answers(
    facts: Facts,
    compared: pd.DataFrame,
    stitched: pd.DataFrame,
    layers: Sequence[Mapping[str, Any]],
    deletions: Sequence[Mapping[str, Any]],
) -> list[Answer]:
    """Return what is found about layers. What networks predict is none, and would move the depths of those that are."""
    layered = compared[(compared["source_layer"] != LOGITS) & (compared["target_layer"] != LOGITS)]
    return answers(
        Evidence(
            compared=layered,
            stitched=stitched,
            facts=facts,
            layers=of_layers(layers),
            deletions=of_deletions(deletions),
        )
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
    }


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
