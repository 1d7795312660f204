"""Numbers of single layers along the depth of their networks, as the page's script draws them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from stitchpipe.registry import find_measure
from stitchpipe.report.payload import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stitchpipe.studies.stitches import LayerOrder

    Row = Mapping[str, Any]


def along_depth(rows: Iterable[Row], layer_order: LayerOrder) -> list[dict[str, Any]]:
    """Return a chart for each measure and view, with a line for each network.

    Parameters
    ----------
    rows
        Of the table ``layers``: ``model``, ``layer``, ``view``, ``measure``, ``value``, ``standard_error``, ``status``,
        ``reason``.
    layer_order
        Every model's layers, from input to output. Depth is the place among those of them that have a row, 0 the first
        and 1 the last; layers of other models are left out.
    """
    place = {(model, layer): k for model, layers in layer_order.items() for k, layer in enumerate(layers)}
    models = list(layer_order)
    known = [row for row in rows if (row["model"], row["layer"]) in place]
    order = sorted(
        known,
        key=lambda row: (
            *(row["measure"], row["view"]),
            *(models.index(row["model"]), place[row["model"], row["layer"]]),
        ),
    )
    return [
        _chart(measure, view, list(those))
        for (measure, view), those in groupby(order, key=lambda row: (row["measure"], row["view"]))
    ]


def _chart(measure: str, view: str, rows: list[Row]) -> dict[str, Any]:
    described = find_measure(measure)
    lines = [_line(model, list(those)) for model, those in groupby(rows, key=lambda row: row["model"])]
    without = [row for row in rows if row["value"] is None]
    return {
        "measure": measure,
        "view": view,
        "title": described.title if described else measure,
        "lines": lines,
        "reason": (without[0]["reason"] or without[0]["status"]) if without else "",
    }


def _line(model: str, rows: list[Row]) -> dict[str, Any]:
    last = max(len(rows) - 1, 1)
    return {
        "model": model,
        "layers": [row["layer"] for row in rows],
        "depths": [number(k / last) for k in range(len(rows))],
        "values": [number(row["value"]) for row in rows],
        "errors": [number(row["standard_error"]) for row in rows],
    }
