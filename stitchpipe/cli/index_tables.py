"""The indices and what each promises, for the terminal and as JSON."""

from __future__ import annotations

import json
from math import isfinite, pi
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from stitchpipe import registry
from stitchpipe.measures import TRANSFORMATIONS, Transformation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from stitchpipe.measures import Measure

_LEGEND = """\
↑ larger is more similar, ↓ smaller is. metric: a distance, with the triangle
inequality. held out: scores a map that was fitted on the training split.
1 row: takes rows for independent, so not for the view positions.

T S R L, source | target: unchanged by adding a vector, by a factor, by a
rotation of the features, by any invertible linear map of them.

from moments (means and covariances of any number of rows), from samples (at
most 2,000 images), from minibatches, or from logits.

A number may follow the name where the title shows one: gulp(0.1), svcca(0.95).
What one means: stitchpipe indices NAME. For programs: stitchpipe indices --json"""


def described(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return the named indices, all that can be used where none is named. Raises UnknownNameError, PluginError."""
    return tuple(map(registry.index_measure, names)) or tuple(registry.indices()[0].values())


def listing(indices: Sequence[Measure]) -> RenderableType:
    """Return a table of a few lines per index, and what its signs mean; it fits into 80 columns.

    Packages whose indices cannot be used stand below, each with the reason.
    """
    view = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    view.add_column("name\nrange", no_wrap=True)
    view.add_column("properties\nunchanged by", no_wrap=True)
    view.add_column("title\nfrom; cost; literature", overflow="fold")
    for index in indices:
        arrow = "↑" if index.larger_is_more_similar else "↓"
        view.add_row(
            Text.assemble((index.name, "bold"), f"\n{arrow} {_range(index)}"),
            f"{_properties(index)}\n{_letters(index.source_invariances)} | {_letters(index.target_invariances)}",
            Text.assemble(index.title, f"\n{index.computed_from}; {index.cost}\n", (index.literature, "dim")),
        )
    refused = [Text(str(refusal), style="yellow") for refusal in registry.indices()[1]]
    return Group(view, *refused, Text(_LEGEND))


def details(index: Measure) -> RenderableType:
    """Return all that is known of one index."""
    view = Table.grid(padding=(0, 2))
    view.add_column(style="bold", no_wrap=True)
    view.add_column(overflow="fold")
    chosen = index.parameter
    facts = {
        "name": index.name,
        "title": index.title,
        "meaning": index.meaning,
        "range": f"{_range(index)}, {'larger' if index.larger_is_more_similar else 'smaller'} is more similar",
        "symmetric": "yes" if index.symmetric else "no: source → target",
        "metric": "yes" if index.metric else "no",
        "unchanged by, source": ", ".join(_ordered(index.source_invariances)) or "nothing",
        "unchanged by, target": ", ".join(_ordered(index.target_invariances)) or "nothing",
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
    for name, value in facts.items():
        if value:
            view.add_row(name, Text(value))
    return view


def as_json(indices: Sequence[Measure]) -> str:
    """Return the indices as a JSON array, infinite bounds as null."""
    return json.dumps([_record(index) for index in indices], indent=2, ensure_ascii=False)


def _record(index: Measure) -> dict[str, Any]:
    chosen = index.parameter
    return {
        "name": index.name,
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


def _range(index: Measure) -> str:
    return " … ".join(_bound(value) for value in index.range)


def _bound(value: float) -> str:
    if not isfinite(value):
        return "−∞" if value < 0 else "∞"
    return "π/2" if value == pi / 2 else f"{value:g}".replace("-", "−")


def _ordered(invariances: frozenset[Transformation]) -> list[str]:
    return [name for name in TRANSFORMATIONS if name in invariances]


def _letters(invariances: frozenset[Transformation]) -> str:
    signs = {"translation": "T", "scaling": "S", "rotation": "R", "invertible": "L"}
    return "".join(signs[name] if name in invariances else "·" for name in TRANSFORMATIONS)
