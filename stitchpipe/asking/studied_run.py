"""The studies of the literature, asked of a run: its numbers as evidence, with what is known of its models."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.algebra.certainty import count_as_copies
from stitchpipe.config import (
    ControlModel,
    NetworkModel,
    Permuted,
    PretrainedModel,
    TrainedModel,
    UntrainedModel,
    WeightsModel,
)
from stitchpipe.report import COLUMNS, Gathering
from stitchpipe.run.declarations import kept_sweep
from stitchpipe.run.file_names import model_record
from stitchpipe.run.names import TEST
from stitchpipe.run.run import Run
from stitchpipe.run.run_keys import index_keys, pair_keys, stitch_key
from stitchpipe.run.stitches import ends_of
from stitchpipe.studies import (
    Evidence,
    Facts,
    answers,
    of_deletions,
    of_layers,
    stages_of,
    stitches,
    study_named,
)
from storage import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from stitchpipe.config import Model
    from stitchpipe.report import Comparison
    from stitchpipe.results import Keys
    from stitchpipe.run.activations import Ends
    from stitchpipe.run.place import RunPlace
    from stitchpipe.studies import Answer, LayerOrder
    from stitchpipe.studies.facts import Kind


def study(place: RunPlace, name: str, others: Sequence[RunPlace] = ()) -> Answer:
    """Return what a run says to the question of a study.

    Parameters
    ----------
    name
        Of `stitchpipe.studies.STUDIES`.
    others
        Other runs, for studies that hold several against each other.

    Raises
    ------
    stitchpipe.studies.StudyError
        There is no such study, or the run has two numbers for the same thing.
    stitchpipe.run.PlaceError
        The run keeps no sweep.

    Notes
    -----
    Only numbers that the run's sweep, as it was declared last, stands for are looked at.
    """
    asked = study_named(name)
    return asked.answer(evidence_of(place, others))


def studies(place: RunPlace) -> list[Answer]:
    """Return what a run says to the questions of all studies, and what it lacks for each; raises as `study`."""
    return answers(evidence_of(place))


def evidence_of(place: RunPlace, others: Sequence[RunPlace] = ()) -> Evidence:
    """Return the numbers of a run and the facts of its models, with those of other runs beside them."""
    run = Run.open(kept_sweep(place), place)
    facts = facts_of(run)
    names = run.layers.names()
    ends = run.activations.ends({*names, *ends_of(run.stitches)})
    order = facts.layer_order
    compared = _compared(run, {name: ends[name] for name in names}, order)
    return Evidence(
        compared=compared.frame(facts),
        stitched=stitches(_stitched(run, ends), order),
        facts=facts,
        layers=of_layers(layers_asked(run, ends)),
        deletions=of_deletions(deletions_asked(run, ends)),
        label=place.url,
        others=tuple(evidence_of(other) for other in others),
    )


def facts_of(run: Run) -> Facts:
    """Return what is known of the models of a run beside its numbers, from the sweep and from records."""
    models = {model.name: model for model in run.sweep.models}
    order = {name: [info.name for info in infos] for name, infos in run.layers.table.items()}
    shapes = {
        name: stages_of([info.shape for info in infos])
        for name, infos in run.layers.table.items()
        if not isinstance(models[name], ControlModel)
    }
    accuracies = {name: _record(run, name).get("test_accuracy") for name in models}
    chance, images = _chance(run)
    return Facts(
        layer_order=order,
        kinds={name: _kind(model) for name, model in models.items()},
        accuracies={name: float(value) for name, value in accuracies.items() if value is not None},
        chance=chance,
        images=images,
        stages={name: stages for name, stages in shapes.items() if stages is not None},
        families={name: _family(model) for name, model in models.items() if isinstance(model, NetworkModel)},
        controls={name: _control(model) for name, model in models.items() if isinstance(model, ControlModel)},
    )


def layers_asked(run: Run, ends: Ends) -> list[dict[str, Any]]:
    """Return the numbers of single layers that the sweep asks for, of what its models hold now."""
    asked = {(table.view, measure) for table in run.sweep.compare for measure in table.layer_measures}
    rows = run.place.layer_numbers.rows()
    return [row for row in _of_now(rows, ends) if (row["view"], row["measure"]) in asked]


def deletions_asked(run: Run, ends: Ends) -> list[dict[str, Any]]:
    """Return the low-rank deletions that the sweep asks for, of what its models hold now."""
    asked = {(table.view, index) for table in run.sweep.compare for index in table.deletion_indices}
    rows = run.place.deletions.rows() if asked else []
    return [row for row in _of_now(rows, ends) if (row["view"], row["index"]) in asked]


def _of_now(rows: Sequence[dict[str, Any]], ends: Ends) -> list[dict[str, Any]]:
    """Return the rows of the dumps that the run's layers stand for now."""
    now = {(name.model, name.layer): end.test.fingerprint for name, end in ends.items()}
    return [row for row in rows if now.get((row["model"], row["layer"])) == row["fingerprint"]]


def _record(run: Run, model: str) -> Mapping[str, Any]:
    return run.place.files.record(model_record(model)) or {}


def _kind(model: Model) -> Kind:
    match model:
        case ControlModel():
            return "control"
        case UntrainedModel():
            return "untrained"
        case TrainedModel() | WeightsModel() | PretrainedModel():
            return "trained"
        case _:
            return "unknown"


def _family(model: NetworkModel) -> str:
    """Return what a network is but for its name, its seed and its weights' place: members differ in nothing else."""
    fields = model.model_dump(
        mode="json", include={"architecture", "options", "train", "pretrained", "untrained"}
    )
    if isinstance(fields.get("train"), dict):
        fields["train"].pop("seed", None)
    return ", ".join(
        f"{key} {value}" for key, value in sorted(fields.items()) if value not in (None, False, {})
    )


def _control(model: ControlModel) -> tuple[str, str | None]:
    control = model.control
    return control.kind.replace("_", " "), control.of if isinstance(control, Permuted) else None


def _chance(run: Run) -> tuple[float | None, int | None]:
    """Return the accuracy of whoever always answers the commonest test class, and of how many images it is."""
    try:
        split = run.store.split(run.sweep.data.label, TEST)
    except NotFoundError:  # a run that keeps no activations
        return None, None
    labels, bounds = split.labels, split.group_bounds
    if labels is None:
        return None, None
    images = len(labels)
    if bounds is not None:
        # Whether a network's images are right together is not known any more: those of a group count as copies.
        images = int(count_as_copies(np.array([stop - start for start, stop in bounds])))
    return float(np.bincount(labels[labels >= 0]).max() / len(labels)), images


def _compared(run: Run, ends: Ends, order: LayerOrder) -> Comparison:
    """Return the comparisons of layers that the sweep stands for, as matrices."""
    wanted: defaultdict[str, list[Keys]] = defaultdict(list)
    for table in run.sweep.compare:
        layered = [index for index in table.indices if index != "agreement"]
        for index, keys in index_keys(pair_keys(run, ends, table), layered).items():
            wanted[index].append(keys.ravel())

    def gathered(tables: Iterator[pa.Table]) -> Comparison:
        gathering = Gathering(order)
        for table in tables:
            gathering.add(table)
        return gathering.comparison()

    asked = {index: np.concatenate(keys) for index, keys in wanted.items()}
    return run.results.through_compared(asked, COLUMNS, gathered)


def _stitched(run: Run, ends: Ends) -> pd.DataFrame:
    there = set(run.results.keys())
    return run.results.read(
        [key for planned in run.stitches if (key := stitch_key(run, planned, ends)) in there]
    )
