"""The measures and what each promises, for the terminal and as JSON; and what stitches can be trained for."""

from __future__ import annotations

from math import isfinite, pi
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe import registry
from stitchpipe.measures import TRANSFORMATIONS, Measure, Transformation
from stitchpipe.stitching.objectives import Objective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

_LEGEND = """\
↑ larger is more similar, ↓ smaller is. metric: a distance, with the triangle
inequality. held out: scores a map that was fitted on the training split.
1 row: takes rows for independent, so not for the view positions.

T S P F R L, source | target: unchanged by adding a vector, by a factor, by
another order of the features, by a positive factor for each of them, by a
rotation of them, by any invertible linear map of them.

from moments (means and covariances of any number of rows), from samples (at
most 2,000 images), from minibatches, or from logits.

A number may follow the name where the title shows one: gulp(0.1), svcca(0.95)."""

_OF_LAYERS = """\
Each layer by itself: layer_measures of a table [[compare]]. images: points, one
for each image. labelled_images: with their classes, and the training images."""

_OF_STITCHES = """\
Every stitch is judged by its fidelity (stitch_…) and by how far out of the
target's distribution it is (ood_…). ood_detector… are those of [ood.detector],
and scores of packages those that [ood] scores names."""

_OBJECTIVES = """\
What a stitch of method tlm can be trained for: its objectives.

What one of all these means: stitchpipe indices NAME.
For programs: stitchpipe indices --format json"""

_SIGNS: Mapping[Transformation, str] = {
    "translation": "T",
    "scaling": "S",
    "permutation": "P",
    "feature_scaling": "F",
    "rotation": "R",
    "invertible": "L",
}


def described(names: Sequence[str]) -> tuple[Measure | Objective, ...]:
    """Return the named measures and objectives, all that can be used where none is named.

    Raises UnknownNameError, PluginError, or the error of the room whose package cannot be used.
    """
    if names:
        return tuple(map(registry.described, names))
    return (
        *registry.indices()[0].values(),
        *registry.of_layers(),
        *registry.of_stitches()[0],
        *registry.objectives()[0],
    )


def listing(described: Sequence[Measure | Objective]) -> RenderableType:
    """Return tables of a few lines per measure, and what their signs mean; they fit into 80 columns.

    Packages whose entries cannot be used stand below, each with the reason.
    """
    measures = [entry for entry in described if isinstance(entry, Measure)]
    indices = [measure for measure in measures if measure.kind == "index"]
    of_layers = [measure for measure in measures if measure.kind == "layer"]
    of_stitches = [measure for measure in measures if measure.kind not in ("index", "layer")]
    objectives = [entry for entry in described if isinstance(entry, Objective)]
    refusals = (*registry.indices()[1], *registry.of_stitches()[1], *registry.objectives()[1])
    parts: list[RenderableType] = []
    for rows, table, legend in (
        (indices, _of_indices(indices), _LEGEND),
        (of_layers, _without_pairs(of_layers), _OF_LAYERS),
        (of_stitches, _without_pairs(of_stitches), _OF_STITCHES),
        (objectives, _of_objectives(objectives), _OBJECTIVES),
    ):
        if rows:
            parts += [table, Text(legend + "\n")]
    return Group(*parts, *(Text(str(refusal), style="yellow") for refusal in refusals))


def _of_indices(indices: Sequence[Measure]) -> Table:
    view = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    view.add_column("name\nrange", no_wrap=True)
    view.add_column("properties\nunchanged by", no_wrap=True)
    view.add_column("title\nfrom; cost; literature", overflow="fold")
    for index in indices:
        view.add_row(
            Text.assemble((index.name, "bold"), f"\n{_arrow(index)} {_range(index)}"),
            f"{_properties(index)}\n{_letters(index.source_invariances)} | {_letters(index.target_invariances)}",
            Text.assemble(index.title, f"\n{index.computed_from}; {index.cost}\n", (index.literature, "dim")),
        )
    return view


def _without_pairs(measures: Sequence[Measure]) -> Table:
    view = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    view.add_column("name\nrange", no_wrap=True)
    view.add_column("title\nfrom; cost; literature", overflow="fold")
    for measure in measures:
        view.add_row(
            Text.assemble((measure.name, "bold"), f"\n{_arrow(measure)} {_range(measure)}"),
            Text.assemble(
                measure.title,
                f"\n{'; '.join(filter(None, (measure.computed_from, measure.cost)))}\n",
                (measure.literature, "dim"),
            ),
        )
    return view


def _of_objectives(objectives: Sequence[Objective]) -> Table:
    view = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    view.add_column("name", no_wrap=True)
    view.add_column("meaning\nliterature", overflow="fold")
    for objective in objectives:
        view.add_row(
            Text(objective.name, style="bold"),
            Text.assemble(objective.meaning, "\n", (objective.literature, "dim")),
        )
    return view


def all_details(entries: Sequence[Measure | Objective]) -> RenderableType:
    """Return all that is known of some measures and objectives."""
    return Group(*map(details, entries))


def details(entry: Measure | Objective) -> RenderableType:
    """Return all that is known of one measure or objective."""
    view = Table.grid(padding=(0, 2))
    view.add_column(style="bold", no_wrap=True)
    view.add_column(overflow="fold")
    for name, value in (_facts(entry) if isinstance(entry, Measure) else _facts_of(entry)).items():
        if value:
            view.add_row(name, Text(value))
    return view


def _facts_of(objective: Objective) -> dict[str, str]:
    return {
        "name": objective.name,
        "title": objective.label,
        "meaning": objective.meaning,
        "asks for": "the task's answers" if objective.is_task_loss else "representations",
        "reads": ", ".join(sorted(objective.needs)),
        "literature": objective.literature,
    }


def _facts(index: Measure) -> dict[str, str]:
    chosen, is_index = index.parameter, index.kind == "index"
    similar = {True: ", larger is more similar", False: ", smaller is more similar", None: ""}
    return {
        "name": index.name,
        "title": index.title,
        "meaning": index.meaning,
        "range": f"{_range(index)}{similar[index.larger_is_more_similar]}",
        "symmetric": ("yes" if index.symmetric else "no: source → target") if is_index else "",
        "metric": ("yes" if index.metric else "no") if is_index else "",
        "unchanged by, source": (", ".join(_ordered(index.source_invariances)) or "nothing")
        if is_index
        else "",
        "unchanged by, target": (", ".join(_ordered(index.target_invariances)) or "nothing")
        if is_index
        else "",
        "parameter": f"{chosen.symbol}: {chosen.meaning}; {chosen.allowed}, here {chosen.value:g}"
        if chosen
        else "",
        "same as": index.equals or "",
        "computed from": index.computed_from + (", one row per image" if index.independent_rows else ""),
        "held out": f"scores a map of the family {index.family}, fitted on other rows"
        if index.family
        else "",
        "cost": index.cost,
        "literature": index.literature,
    }


def records(described: Sequence[Measure | Objective]) -> list[dict[str, Any]]:
    """Return measures and objectives as JSON has them, told apart by ``kind``; infinite bounds are null."""
    return [_record(entry) if isinstance(entry, Measure) else _record_of(entry) for entry in described]


def _record_of(objective: Objective) -> dict[str, Any]:
    return {
        "name": objective.name,
        "kind": "objective",
        "title": objective.label,
        "meaning": objective.meaning,
        "is_task_loss": objective.is_task_loss,
        "literature": objective.literature,
    }


def _record(index: Measure) -> dict[str, Any]:
    chosen = index.parameter
    return {
        "name": index.name,
        "kind": index.kind,
        "title": index.title,
        "meaning": index.meaning,
        "symmetric": index.symmetric,
        "metric": index.metric,
        "larger_is_more_similar": index.larger_is_more_similar,
        "range": [bound if isfinite(bound) else None for bound in index.range],
        "source_invariances": _ordered(index.source_invariances),
        "target_invariances": _ordered(index.target_invariances),
        "parameter": None
        if chosen is None
        else {
            "symbol": chosen.symbol,
            "meaning": chosen.meaning,
            "value": chosen.value,
            "allowed": chosen.allowed,
        },
        "equals": index.equals,
        "computed_from": index.computed_from,
        "independent_rows": index.independent_rows,
        "held_out": index.held_out,
        "family": index.family,
        "cost": index.cost,
        "literature": index.literature,
    }


def _properties(index: Measure) -> str:
    said = (
        ("symmetric" if index.symmetric else "directed", True),
        ("metric", index.metric),
        ("held out", index.held_out),
        ("1 row", index.independent_rows),
    )
    return ", ".join(word for word, holds in said if holds)


def _arrow(measure: Measure) -> str:
    return {True: "↑", False: "↓", None: " "}[measure.larger_is_more_similar]


def _range(index: Measure) -> str:
    return " … ".join(_bound(value) for value in index.range)


def _bound(value: float) -> str:
    if not isfinite(value):
        return "−∞" if value < 0 else "∞"
    return "π/2" if value == pi / 2 else f"{value:g}".replace("-", "−")


def _ordered(invariances: frozenset[Transformation]) -> list[str]:
    return [name for name in TRANSFORMATIONS if name in invariances]


def _letters(invariances: frozenset[Transformation]) -> str:
    return "".join(_SIGNS[name] if name in invariances else "·" for name in TRANSFORMATIONS)
