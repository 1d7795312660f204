"""What the page's script draws: plain JSON, numbers to seven digits, names as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps

from stitchpipe.report.matrices import Layer, View, boundaries
from stitchpipe.studies.measures import BESIDE
from stitchpipe.studies.stitches import measures_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from stitchpipe.report.matrices import Comparison, Matrix
    from stitchpipe.studies.stitches import LayerOrder

COLOURS = "viridis"
"""Perceptually uniform, and readable with any colour vision; bright is similar."""

_DIGITS = 7


def payload(compared: Comparison, stitched: pd.DataFrame, layer_order: LayerOrder) -> dict[str, Any]:
    """Return everything that the script of the page needs, as JSON-able values."""
    return {
        "colours": [_hex(step / 32) for step in range(33)],
        "axis": _axis(compared.axis),
        "views": [_view(view) for view in compared.views],
        "matrices": [_matrix(matrix) for matrix in compared.matrices],
        "stitches": _stitches(stitched, layer_order),
    }


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
    if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 2**53 else short


def _hex(position: float) -> str:
    red, green, blue, _ = colormaps[COLOURS](position, bytes=True)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _axis(layers: Sequence[Layer]) -> dict[str, Any]:
    return {
        "models": [layer.model for layer in layers],
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


def _matrix(matrix: Matrix) -> dict[str, Any]:
    return {
        "index": matrix.index,
        "view": matrix.view,
        "title": matrix.title,
        "values": _plane(matrix.values),
        "ranks": _plane(matrix.ranks),
        "conditions": _plane(matrix.conditions),
        "lows": _plane(matrix.lows),
        "highs": _plane(matrix.highs),
        "pValues": _plane(matrix.p_values),
        "pFamilies": _plane(matrix.p_families),
        "samples": matrix.n_samples,
        "reasons": {f"{i},{j}": reason for (i, j), reason in matrix.reasons.items()},
        "range": [number(matrix.lowest), number(matrix.highest)],
        "similarity": matrix.larger_is_more_similar,
    }


def _plane(values: npt.NDArray[np.float64]) -> list[list[float | None]] | None:
    if np.isnan(values).all():
        return None
    return [_numbers(row) for row in values]


def _numbers(row: npt.NDArray[np.float64]) -> list[float | None]:
    """Return a row of numbers as `number` gives each: all digits of a row are made at once."""
    digits = np.array((f"%.{_DIGITS}g " * len(row) % tuple(row.tolist())).split(), np.float64)
    shorts: list[float | None] = digits.tolist()
    for at in np.flatnonzero(np.isnan(digits) | (digits == np.round(digits))).tolist():
        shorts[at] = number(digits[at])
    return shorts


def _stitches(stitched: pd.DataFrame, layer_order: LayerOrder) -> dict[str, Any]:
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
        records.append({**record, "notes": {name: note for name, note in notes.items() if note}})
    return {
        "sources": _axis(sources),
        "targets": _axis(targets),
        "measures": list(measures.items()),
        "records": records,
    }


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
