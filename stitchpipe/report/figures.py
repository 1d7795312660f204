"""A few figures as images beside the page: one matrix of each view, and the stitches.

The page saves whatever it shows as PNG and SVG itself. These are for what cannot run it: a mail, an orchestrator.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from stitchpipe.report.matrices import Layer, boundaries
from stitchpipe.studies.equal_budget import beside
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.stitches import PAIR, LayerOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from stitchpipe.report.matrices import Comparison, Matrix

Draw: TypeAlias = Callable[[], Figure]

COLOURS = "viridis"
"""Perceptually uniform, and readable with any colour vision; bright is similar."""
DM, TLM = "#0072b2", "#d55e00"  # Okabe and Ito's blue and vermilion: apart for any colour vision
MISSING = "#d9d9d9"
_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a dollar sign in a layer's name is a dollar sign
}


def figures(compared: Comparison, stitched: pd.DataFrame, layer_order: LayerOrder) -> dict[str, Draw]:
    """Return the figures that the results support: how each is drawn, by file name without ending.

    Of each view it is the first matrix. Bright is where representations are similar; cells without a number are grey.
    """
    first = {matrix.view: matrix for matrix in reversed(compared.matrices)}
    drawn: dict[str, Draw] = {
        f"{_plain(matrix.index)}-{_plain(matrix.view)}": partial(_matrix, matrix, compared.axis)
        for matrix in compared.matrices
        if first[matrix.view] is matrix
    }
    if len(stitched):
        drawn["direct-and-task-loss-matching"] = partial(_stitched, stitched, layer_order)
    both = beside(stitched)
    late = both[both["kind"] == "late → early"]
    if len(late):
        drawn["late-to-early"] = partial(_late, late)
    if bool(stitched[["ood_mahalanobis", "ood_frechet"]].notna().any(axis=None)):
        drawn["out-of-distribution"] = partial(_distribution, stitched)
    return drawn


def as_png(draw: Draw) -> bytes:
    """Draw a figure; return it as PNG at 150 dots per inch."""
    image = BytesIO()
    with rc_context(_STYLE):
        FigureCanvasAgg(draw()).print_png(image)
    return image.getvalue()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "unnamed"


def _matrix(matrix: Matrix, axis: Sequence[Layer]) -> Figure:
    side = min(max(3.6, 1.8 + 0.17 * len(axis)), 14.0)
    figure = Figure(figsize=(side + 0.6, side), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    image = _heat(axes, matrix.values, axis, axis, _Colours(matrix))
    axes.set_title(f"{matrix.title}, {matrix.view}")
    figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02, extend=_extend(matrix))
    return figure


class _Colours:
    """What a matrix's colours span; distances are turned around so that bright is similar."""

    def __init__(self, matrix: Matrix | None = None) -> None:
        self.low, self.high = (0.0, 1.0) if matrix is None else (matrix.lowest, matrix.highest)
        similar = matrix is None or matrix.larger_is_more_similar
        self.map = colormaps[COLOURS if similar else f"{COLOURS}_r"].with_extremes(bad=MISSING)


def _extend(matrix: Matrix) -> str:
    known = matrix.values[np.isfinite(matrix.values)]
    below, above = (known < matrix.lowest - 1e-9).any(), (known > matrix.highest + 1e-9).any()
    return "both" if below and above else "min" if below else "max" if above else "neither"


def _heat(
    axes: Axes,
    values: npt.NDArray[np.float64],
    sources: Sequence[Layer],
    targets: Sequence[Layer],
    colours: _Colours,
) -> AxesImage:
    image = axes.imshow(
        np.ma.masked_invalid(values), cmap=colours.map, vmin=colours.low, vmax=colours.high, aspect="equal"
    )
    _name(axes, "y", sources)
    _name(axes, "x", targets)
    axes.set_xlabel("target")
    axes.set_ylabel("source")
    axes.tick_params(length=0, labelsize=6)
    axes.tick_params(axis="x", rotation=90)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return image


def _name(axes: Axes, which: str, layers: Sequence[Layer]) -> None:
    step = -(-len(layers) // 60)
    ticks = range(0, len(layers), step)
    labels = [str(layers[tick]) for tick in ticks]
    if which == "x":
        axes.set_xticks(ticks, labels)
    else:
        axes.set_yticks(ticks, labels)
    for edge in boundaries(layers):
        (axes.axvline if which == "x" else axes.axhline)(edge - 0.5, color="white", linewidth=1.5)


def _stitched(stitched: pd.DataFrame, layer_order: LayerOrder) -> Figure:
    sources, targets = (_layers(stitched, side, layer_order) for side in ("source", "target"))
    size = (3.2 + 0.36 * len(targets), 1.6 + 0.17 * len(sources))
    figure = Figure(
        figsize=(min(max(size[0], 6.4), 20.0), min(max(size[1], 3.4), 20.0)), dpi=150, layout="constrained"
    )
    panels = figure.subplots(1, 2, sharey=True)
    for axes, method, title in zip(
        panels, ("dm", "tlm"), ("Direct matching", "Task loss matching, best start"), strict=True
    ):
        best = stitched[stitched["method"] == method].groupby(PAIR)[RELATIVE].max().reset_index()
        values = np.full((len(sources), len(targets)), np.nan)
        for source_model, source, target_model, target, value in best.to_numpy().tolist():
            cell = sources.index(Layer(source_model, source)), targets.index(Layer(target_model, target))
            values[cell] = value
        image = _heat(axes, values, sources, targets, _Colours())
        axes.set_title(title)
    panels[1].set_ylabel("")
    figure.colorbar(image, ax=panels, fraction=0.03, pad=0.02, label="relative accuracy")
    return figure


def _layers(stitched: pd.DataFrame, side: str, layer_order: LayerOrder) -> list[Layer]:
    pairs = set(zip(stitched[f"{side}_model"], stitched[f"{side}_layer"], strict=True))
    return [
        Layer(model, name) for model, names in layer_order.items() for name in names if (model, name) in pairs
    ]


def _late(late: pd.DataFrame) -> Figure:
    rows = np.arange(len(late))
    height = min(max(2.2, 1.0 + 0.22 * len(late)), 16.0)
    figure = Figure(figsize=(6.4, height), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.hlines(rows, late["DM"], late["TLM"], color="#b0b0b0", linewidth=1.2, zorder=1)
    axes.scatter(late["DM"], rows, color=DM, marker="o", s=28, label="direct matching", zorder=2)
    axes.scatter(late["TLM"], rows, color=TLM, marker="D", s=24, label="task loss matching", zorder=2)
    starts = late["init"] if late["init"].nunique() > 1 else None
    names = [f"{source} → {target}" for source, target in zip(late["source"], late["target"], strict=True)]
    if starts is not None:
        names = [f"{name} ({start})" for name, start in zip(names, starts, strict=True)]
    axes.set_yticks(rows, names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlim(left=min(0.0, late["DM"].min(), late["TLM"].min()))
    axes.set_xlabel("relative accuracy")
    axes.set_title("Late → early")
    axes.legend(
        frameon=False, fontsize=7, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2
    )
    return figure


def _distribution(stitched: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(7.2, 3.3), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    known = stitched[stitched["method"].isin(("dm", "tlm"))].dropna(subset=[RELATIVE])
    for method, colour, marker in (("dm", DM, "o"), ("tlm", TLM, "D")):
        rows = known[known["method"] == method]
        options = {
            "color": colour,
            "marker": marker,
            "s": 18,
            "alpha": 0.7,
            "linewidths": 0,
            "label": method.upper(),
        }
        left.scatter(rows[RELATIVE], rows["ood_mahalanobis"], **options)
        right.scatter(rows[RELATIVE], rows["ood_frechet"].clip(lower=FLOOR), **options)
    left.set_ylabel("Mahalanobis |2·AUROC − 1|")
    right.set_ylabel("Fréchet ratio")
    if known["ood_frechet"].notna().any():
        right.set_yscale("log")
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for axes in (left, right):
        axes.set_xlabel("relative accuracy")
    left.legend(frameon=False, fontsize=7)
    return figure


FLOOR = 1e-4
"""Where smaller Fréchet ratios, zero among them, are drawn on a logarithmic axis."""
