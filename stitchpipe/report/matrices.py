"""From results to matrices: one per index and view, sources down, targets across, in the networks' order."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stitchpipe.registry import find_measure, index_names
from stitchpipe.studies.stitches import LayerOrder, depth_of, matrices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a model, as a place on an axis."""

    model: str
    layer: str

    def __str__(self) -> str:
        return f"{self.model}/{self.layer}"


@dataclass(frozen=True, slots=True)
class View:
    """What is common to all numbers of a view.

    Attributes
    ----------
    splits
        Where the numbers were taken.
    n_samples
        Images.
    n_rows, grids
        By target layer; None where there is no number.
    widths
        Features p by layer, as source or target.
    """

    name: str
    splits: tuple[str, ...]
    n_samples: int
    n_rows: tuple[int | None, ...]
    grids: tuple[str | None, ...]
    widths: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The values of one index under one view.

    Attributes
    ----------
    values
        ``(sources, targets)``, NaN where there is no number.
    ranks, conditions, lows, highs, p_values, p_families
        Beside the values, NaN where there is none: what a number rests on, its interval, and its place in its own null
        and in that of its family.
    n_samples
        Images, fewer than the view's for indices over samples.
    reasons
        Why a measured cell has no number, by (source, target).
    lowest, highest
        What the colours span: the index's own range, cut where it is infinite.
    larger_is_more_similar
        False for distances and errors.
    """

    index: str
    view: str
    title: str
    values: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.float64]
    conditions: npt.NDArray[np.float64]
    lows: npt.NDArray[np.float64]
    highs: npt.NDArray[np.float64]
    p_values: npt.NDArray[np.float64]
    p_families: npt.NDArray[np.float64]
    n_samples: int
    reasons: dict[tuple[int, int], str]
    lowest: float
    highest: float
    larger_is_more_similar: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All matrices over one axis of layers."""

    axis: tuple[Layer, ...]
    views: tuple[View, ...]
    matrices: tuple[Matrix, ...]


def comparison(results: pd.DataFrame, layer_order: LayerOrder) -> Comparison:
    """Return every index and view among the results as a matrix.

    Layers without any comparison do not appear; the order is that of `layer_order`. Raises StudyError as
    `stitchpipe.studies.findings` does.
    """
    rows = matrices(results)
    sides = [_Side.of(rows, side) for side in ("source", "target")]
    known = {name for side in sides for name in side.known()}
    for model, layer in sorted(known):
        depth_of(layer_order, model, layer)
    axis = tuple(Layer(m, name) for m, names in layer_order.items() for name in names if (m, name) in known)
    where = {(layer.model, layer.layer): number for number, layer in enumerate(axis)}
    i, j = (side.places(where) for side in sides)
    rows = rows.assign(i=i, j=j)
    views = tuple(_view(str(name), block, len(axis)) for name, block in rows.groupby("view", sort=False))
    tables = tuple(
        _matrix(str(index), str(view), block, len(axis))
        for (view, index), block in rows.groupby(["view", "index"], sort=False)
    )
    return Comparison(axis, views, tuple(sorted(tables, key=_registered)))


def boundaries(axis: Sequence[Layer]) -> list[int]:
    """Return where on an axis another model begins."""
    return [number for number in range(1, len(axis)) if axis[number].model != axis[number - 1].model]


def _registered(matrix: Matrix) -> int:
    """Order matrices as the registry has the indices; unknown ones come last."""
    names = list(index_names())
    base = matrix.index.partition("(")[0]
    return names.index(base) if base in names else len(names)


def _view(name: str, block: pd.DataFrame, size: int) -> View:
    i, j = block["i"].to_numpy(), block["j"].to_numpy()
    widths, n_rows, grids = (np.full(size, None, object) for _ in range(3))
    widths[i], widths[j] = block["p"].to_list(), block["q"].to_list()
    n_rows[j], grids[j] = block["n_rows"].to_list(), block["grid"].to_list()
    splits = tuple(dict.fromkeys(block["split"].unique()))
    return View(
        name,
        splits,
        int(block["n_samples"].max()),
        tuple(_whole(n_rows)),
        tuple(grids.tolist()),
        tuple(_whole(widths)),
    )


def _whole(numbers: npt.NDArray[np.object_]) -> list[int | None]:
    return [None if number is None else int(number) for number in numbers.tolist()]


@dataclass(frozen=True, slots=True)
class _Side:
    """The source or the target of rows: codes of model and layer, ``[n]``, and what they stand for."""

    model: npt.NDArray[np.intp]
    layer: npt.NDArray[np.intp]
    models: Sequence[str]
    layers: Sequence[str]

    @classmethod
    def of(cls, rows: pd.DataFrame, side: str) -> _Side:
        model, models = pd.factorize(rows[f"{side}_model"])
        layer, layers = pd.factorize(rows[f"{side}_layer"])
        return cls(model, layer, list(models), list(layers))

    def known(self) -> list[tuple[str, str]]:
        """Return the layers that occur."""
        codes = np.unique(self.model * len(self.layers) + self.layer)
        return [
            (self.models[code // len(self.layers)], self.layers[code % len(self.layers)])
            for code in codes.tolist()
        ]

    def places(self, where: Mapping[tuple[str, str], int]) -> npt.NDArray[np.intp]:
        """Return the place of each row's layer on an axis."""
        table = np.array([[where.get((m, name), -1) for name in self.layers] for m in self.models], np.intp)
        return table[self.model, self.layer] if len(self.model) else np.zeros(0, np.intp)


def _matrix(index: str, view: str, block: pd.DataFrame, size: int) -> Matrix:
    at = (block["i"].to_numpy(), block["j"].to_numpy())
    planes = {}
    for column in ("value", "rank", "condition", "low", "high", "p_value", "p_family"):
        planes[column] = np.full((size, size), np.nan)
        planes[column][at] = block[column].to_numpy(dtype=np.float64, na_value=np.nan)
    failed = block[block["status"] != "ok"]
    reasons = {
        (int(i), int(j)): f"{status}: {reason}" if isinstance(reason, str) and reason else str(status)
        for i, j, status, reason in failed[["i", "j", "status", "reason"]].itertuples(index=False)
    }
    described = find_measure(index)
    low, high = described.range if described else (-inf, inf)
    numbers = planes["value"][np.isfinite(planes["value"])]
    return Matrix(
        index=index,
        view=view,
        title=described.title if described else index,
        values=planes["value"],
        ranks=planes["rank"],
        conditions=planes["condition"],
        lows=planes["low"],
        highs=planes["high"],
        p_values=planes["p_value"],
        p_families=planes["p_family"],
        n_samples=int(block["n_samples"].max()),
        reasons=reasons,
        lowest=0.0 if described else float(numbers.min(initial=0.0)),
        highest=high if isfinite(high) else 1.0 if low == 0.0 else float(numbers.max(initial=1.0)),
        larger_is_more_similar=described is None or described.larger_is_more_similar is not False,
    )
