"""Heat maps of matrices: for figures of matplotlib, and as small SVG."""

from __future__ import annotations

import re
from io import BytesIO, StringIO
from math import isfinite
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from stitchpipe.asking.titles import title_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

COLOURS: Final = "viridis"
"""Perceptually uniform, and readable with any colour vision; bright is similar."""
MISSING: Final = "#d9d9d9"
LINE: Final = 40
"""Letters in a line of the title."""
MOST_NAMES: Final = 40
"""Names along an axis; of more layers every second one is named, or fewer."""


def heat_map(matrix: xr.DataArray, ax: Axes | None = None, **colours: Any) -> Axes:
    """Draw a matrix of sources × targets, bright for similar; return its axes.

    Parameters
    ----------
    ax
        Where; default: a new figure of pyplot's, which notebooks show.
    colours
        ``vmin``, ``vmax``, ``cmap``; default: the measure's own range as far as it is finite, and its direction.
    """
    if ax is None:
        # Pyplot chooses a display and holds every figure: only whoever wants to see one should load it.
        import matplotlib.pyplot as plt  # noqa: PLC0415

        ax = plt.figure(figsize=_size(matrix), layout="constrained").add_subplot()
    sources, targets = matrix.dims
    given = {**colours_of(matrix), **colours}
    palette = colormaps[given.pop("cmap")].with_extremes(bad=MISSING)
    image = ax.imshow(np.ma.masked_invalid(matrix.to_numpy()), cmap=palette, aspect="auto", **given)
    _name(ax, "y", matrix, str(sources))
    _name(ax, "x", matrix, str(targets))
    ax.set_title(fill(title_of(matrix), LINE), parse_math=False, fontsize="medium")
    ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.02, label=_unit(matrix))
    return ax


def svg_of(matrix: xr.DataArray) -> str:
    """Return a heat map as SVG that can stand within a page; equal matrices give equal texts."""
    figure = Figure(figsize=_size(matrix), layout="constrained")
    heat_map(matrix, figure.add_subplot())
    text = StringIO()
    with mpl.rc_context({"svg.hashsalt": "stitchpipe", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    # Within a page an element stands, without the declaration and the document type of a file.
    return re.sub(r"^.*?(?=<svg\b)", "", text.getvalue(), count=1, flags=re.DOTALL)


def png_of(matrix: xr.DataArray) -> bytes:
    """Return a heat map as PNG, without a display."""
    figure = Figure(figsize=_size(matrix), layout="constrained")
    heat_map(matrix, figure.add_subplot())
    data = BytesIO()
    figure.savefig(data, format="png", dpi=150)
    return data.getvalue()


def _size(matrix: xr.DataArray) -> tuple[float, float]:
    """Return the inches of a figure on which the names of all layers can be read, as far as a page goes."""
    rows, columns = matrix.shape
    return min(max(2.4 + 0.2 * columns, 4.2), 11.0), min(max(1.8 + 0.2 * rows, 3.0), 10.0)


def colours_of(matrix: xr.DataArray) -> dict[str, Any]:
    """Return what colours span: a measure's own range, so that two pictures of it can be compared by eye."""
    is_value = matrix.attrs.get("column") == "value"
    low, high = matrix.attrs.get("range", (-np.inf, np.inf)) if is_value else (-np.inf, np.inf)
    known = matrix.to_numpy()[np.isfinite(matrix.to_numpy())]
    similar = not is_value or "smaller" not in matrix.attrs.get("direction", "")
    return {
        "cmap": COLOURS if similar else f"{COLOURS}_r",
        "vmin": float(known.min(initial=0.0)),
        "vmax": high if isfinite(high) else float(known.max(initial=max(0.0, low if isfinite(low) else 0.0))),
    }


def _name(ax: Axes, which: str, matrix: xr.DataArray, dimension: str) -> None:
    """Name the layers along an axis: the model once, above lines between models, where there are several."""
    names = [str(name) for name in matrix[dimension].to_numpy()]
    models = matrix.coords.get(f"{dimension}_model")
    owners = [str(model) for model in models.to_numpy()] if models is not None else [""] * len(names)
    title = dimension
    if len(set(owners)) == 1 and owners[0]:
        names, title = [name.removeprefix(f"{owners[0]}/") for name in names], f"{dimension}: {owners[0]}"
    ticks = range(0, len(names), -(-len(names) // MOST_NAMES) or 1)
    labels = [names[tick] for tick in ticks]
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_ticks(list(ticks), labels, parse_math=False, fontsize=7)
    axis.set_label_text(title, parse_math=False)
    if which == "x":
        ax.tick_params(axis="x", rotation=90)
    for edge in range(1, len(owners)):
        if owners[edge] != owners[edge - 1]:
            (ax.axvline if which == "x" else ax.axhline)(edge - 0.5, color="white", linewidth=1.2)


def _unit(matrix: xr.DataArray) -> str:
    unit = matrix.attrs.get("unit", "1")
    return "" if unit == "1" or matrix.attrs.get("column") != "value" else str(unit)
