"""What the page's script is given: a plain description in JSON, and beside it the values as blocks of bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.registry import find_measure
from stitchpipe.report.matrices import Layer, View, boundaries
from stitchpipe.report.overview import coarse, of_models
from stitchpipe.report.planes import Plane, plane_of, planes
from stitchpipe.studies.measures import BESIDE, DISTANCES
from stitchpipe.studies.stitches import measures_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from stitchpipe.report.matrices import Comparison, Matrix
    from stitchpipe.studies.stitches import LayerOrder

EMBEDDED_BYTES: Final = 9 * 2**20
"""Up to how many bytes of values stand in the page itself; what is more is served in blocks."""
CURVE_POINTS: Final = 80
_DIGITS = 7


@dataclass(frozen=True, eq=False)
class Payload:
    """What the script of a page works with.

    Attributes
    ----------
    about
        JSON-able: axis, measures, stitches.
    blocks
        Deflated values by name: those of the page, and of each matrix what `stitchpipe.report.planes` makes of it.
    is_embedded
        Whether all blocks are few enough to stand in the page. Otherwise those of single pairs are for a server, and
        the page has the coarse ones alone.
    """

    about: dict[str, Any]
    blocks: dict[str, bytes]
    is_embedded: bool

    @property
    def in_page(self) -> dict[str, bytes]:
        """The blocks that stand in the page."""
        kept = self.blocks.items()
        return {name: data for name, data in kept if self.is_embedded or name.startswith(COARSELY)}

    @property
    def to_serve(self) -> dict[str, bytes]:
        """The blocks that do not stand in the page."""
        in_page = self.in_page
        return {name: data for name, data in self.blocks.items() if name not in in_page}


COARSELY: Final = "c"
"""How the names of blocks begin that every page holds: whole models, and coarse maps."""


def payload(
    compared: Comparison,
    stitched: pd.DataFrame,
    layer_order: LayerOrder,
    *,
    curves: Mapping[str, Sequence[float]] | None = None,
    limit_bytes: int = EMBEDDED_BYTES,
) -> Payload:
    """Return everything that the script of the page needs.

    Parameters
    ----------
    curves
        Losses of trainings, by the key of their stitch.
    limit_bytes
        Up to how much of the values stands in the page.
    """
    blocks, measures, n_bytes = dict[str, bytes](), list[dict[str, Any]](), 0
    for number, matrix in enumerate(compared.matrices):
        own, about = _matrix(number, matrix, compared.axis)
        measures.append(about)
        blocks |= own
    n_bytes = sum(len(data) for name, data in blocks.items() if not name.startswith(COARSELY))
    is_embedded = n_bytes <= limit_bytes
    if is_embedded:
        # A page that holds every pair has no use for coarse maps.
        blocks = {name: data for name, data in blocks.items() if not name.startswith(f"{COARSELY}map")}
        measures = [{key: value for key, value in each.items() if key != "coarse"} for each in measures]
    about = {
        "axis": _axis(compared.axis),
        "views": [_view(view) for view in compared.views],
        "measures": measures,
        "stitches": _stitches(stitched, layer_order, curves or {}),
        "embedded": is_embedded,
    }
    return Payload(about, blocks, is_embedded)


def embedded(values: Any) -> str:
    """Return JSON that can stand inside a script element: it holds no character that HTML would act on.

    Raises
    ------
    ValueError
        A number is NaN or infinite, which JSON has no word for.
    """
    text = json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def number(value: float | None) -> float | None:
    """Return a number as JSON has it: seven significant digits, None for missing ones."""
    if value is None or not np.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def _axis(layers: Sequence[Layer]) -> dict[str, Any]:
    """Return an axis: models by name, and of each layer its model's place."""
    models = list(dict.fromkeys(layer.model for layer in layers))
    place = {model: k for k, model in enumerate(models)}
    return {
        "models": models,
        "of": [place[layer.model] for layer in layers],
        "layers": [layer.layer for layer in layers],
        "boundaries": boundaries(layers),
    }


def _view(view: View) -> dict[str, Any]:
    return {
        "name": view.name,
        "split": ", ".join(view.splits),
        "samples": view.n_samples,
        "rows": view.n_rows,
        "grids": view.grids,
        "widths": view.widths,
    }


def _matrix(number_: int, matrix: Matrix, axis: Sequence[Layer]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the blocks of a matrix by name, and what the page is told of it."""
    described = find_measure(matrix.index)
    made = planes(matrix, symmetric=described is not None and described.symmetric)
    decimals = made[0].about["decimals"]
    blocks = {f"{number_}-{plane.name}-{at}": data for plane in made for at, data in plane.blocks().items()}
    models = plane_of("models", of_models(matrix, axis), decimals)
    blocks |= {f"{COARSELY}models-{number_}-{at}": data for at, data in models.blocks().items()}
    means, side = coarse(matrix.values)
    pooled = plane_of("map", means, decimals)
    blocks |= {f"{COARSELY}map-{number_}-{at}": data for at, data in pooled.blocks().items()}
    about = {
        "index": matrix.index,
        "view": matrix.view,
        "title": matrix.title,
        "range": [number(matrix.lowest), number(matrix.highest)],
        "similarity": matrix.larger_is_more_similar,
        "symmetric": described is not None and described.symmetric,
        "samples": matrix.n_samples,
        "planes": {plane.name: _plane(plane) for plane in made},
        "models": _plane(models),
        "coarse": {**_plane(pooled), "side": side},
    }
    return blocks, about


def _plane(plane: Plane) -> dict[str, Any]:
    return {**plane.about, "symmetric": plane.symmetric, "bytes": plane.codes.dtype.itemsize}


def _stitches(
    stitched: pd.DataFrame, layer_order: LayerOrder, curves: Mapping[str, Sequence[float]]
) -> dict[str, Any]:
    sources, targets = (_layers(stitched, side, layer_order) for side in ("source", "target"))
    measures = measures_of(stitched)
    number_of = {side: {(layer.model, layer.layer): k for k, layer in enumerate(axis)} for side, axis in (
        ("source", sources), ("target", targets))}  # fmt: skip
    records = []
    for row in stitched.to_dict("records"):
        record: dict[str, Any] = {
            side: number_of[side][row[f"{side}_model"], row[f"{side}_layer"]] for side in ("source", "target")
        }
        record |= {name: row[name] for name in ("method", "kind")}
        record |= {name: row[name] if isinstance(row[name], str) else None for name in ("init", "objective")}
        record |= {name: number(row[name]) for name in ("seed", "steps", "final_loss", *measures)}
        notes = {name: _note(row, name) for name in measures}
        if row.get("key") in curves:
            record["curve"] = _thinned(curves[row["key"]])
        records.append({**record, "notes": {name: note for name, note in notes.items() if note}})
    return {
        "sources": _axis(sources),
        "targets": _axis(targets),
        "measures": [[name, title, name in DISTANCES] for name, title in measures.items()],
        "records": [
            {key: value for key, value in record.items() if value not in (None, {})} for record in records
        ],
    }


def _thinned(losses: Sequence[float]) -> list[list[float | None]]:
    """Return a curve in at most `CURVE_POINTS` points, each a step and the mean loss of the steps up to it."""
    edges = np.unique(np.linspace(0, len(losses), min(CURVE_POINTS, len(losses)) + 1).astype(np.intp))
    means = np.add.reduceat(np.asarray(losses, np.float64), edges[:-1]) / np.diff(edges)
    return [[int(step), number(float(f"{loss:.4g}"))] for step, loss in zip(edges[1:], means, strict=True)]


def _note(row: Mapping[Hashable, Any], measure: str) -> str:
    """Return what is shown beside a number: what stands beside it in the results, and its remark."""
    beside = {
        title: number(row.get(f"{measure}_{extra}")) for extra, title in BESIDE.items() if extra != "warned"
    }
    parts = [f"{title} {value}" for title, value in beside.items() if value is not None]
    remark = row[f"{measure}_note"]
    return "; ".join([*parts, remark] if isinstance(remark, str) else parts)


def _layers(stitched: pd.DataFrame, side: str, layer_order: LayerOrder) -> list[Layer]:
    known = set(zip(stitched[f"{side}_model"], stitched[f"{side}_layer"], strict=True))
    return [
        Layer(model, name) for model, names in layer_order.items() for name in names if (model, name) in known
    ]
