"""Tables of results, one after the other, become matrices: every number goes straight to its cell.

The long form of a large run is never held in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stitchpipe.registry import find_measure, index_names
from stitchpipe.report.matrices import (
    BESIDE,
    COLUMNS,
    MEASURED,
    UNMEASURED,
    WITHOUT,
    Comparison,
    Layer,
    Matrix,
    View,
)
from stitchpipe.studies.stitches import LayerOrder, depth_of, matrices

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


@dataclass(eq=False)
class _Cells:
    """The matrix of an index and view while it fills."""

    size: int
    n_samples: int = 0
    values: npt.NDArray[np.float64] = field(init=False)
    states: npt.NDArray[np.uint16] = field(init=False)
    beside: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values = np.full((self.size, self.size), np.nan)
        self.states = np.zeros((self.size, self.size), np.uint16)

    def put(self, at: _Places, rows: pa.Table) -> None:
        """Put rows into their cells. Of two numbers for a cell the first stays: its writers wrote the same."""
        # Of places that repeat in one assignment the last one stays: so rows are put from the last to the first.
        new = np.flatnonzero(self.states[at] == UNMEASURED)[::-1]
        at = at[0][new], at[1][new]
        self.values[at] = _floats(rows["value"])[new]
        self.states[at] = self._states(rows)[new]
        for name in BESIDE:
            if rows[name].null_count < len(rows):
                plane = self.beside.setdefault(name, np.full(self.values.shape, np.nan, np.float32))
                plane[at] = _floats(rows[name])[new]
        self.n_samples = max(self.n_samples, int(pc.max(rows["n_samples"]).as_py()))

    def _states(self, rows: pa.Table) -> npt.NDArray[np.uint16]:
        states = np.full(len(rows), MEASURED, np.uint16)
        failed = np.flatnonzero(pc.not_equal(rows["status"].cast(pa.string()), "ok").to_numpy())
        if not len(failed):
            return states
        few = rows.select(["status", "reason"]).take(pa.array(failed)).to_pylist()
        for row, said in zip(failed.tolist(), few, strict=True):
            reason = f"{said['status']}: {said['reason']}" if said["reason"] else str(said["status"])
            if reason not in self.reasons:
                self.reasons.append(reason)
            states[row] = WITHOUT + self.reasons.index(reason)
        return states


@dataclass(eq=False)
class _Facts:
    """What is common to the numbers of a view, while it is gathered; by layer, 0 or None where nothing is known."""

    widths: npt.NDArray[np.int64]
    n_rows: npt.NDArray[np.int64]
    grids: npt.NDArray[np.object_]
    splits: dict[str, None] = field(default_factory=dict)
    n_samples: int = 0

    @classmethod
    def of(cls, size: int) -> _Facts:
        return cls(np.zeros(size, np.int64), np.zeros(size, np.int64), np.full(size, None, object))

    def put(self, i: npt.NDArray[np.intp], j: npt.NDArray[np.intp], rows: pa.Table) -> None:
        self.widths[i], self.widths[j] = rows["p"].to_numpy(), rows["q"].to_numpy()
        self.n_rows[j], self.grids[j] = rows["n_rows"].to_numpy(), rows["grid"].to_pylist()
        self.splits.update(dict.fromkeys(pc.unique(rows["split"]).to_pylist()))
        self.n_samples = max(self.n_samples, int(pc.max(rows["n_samples"]).as_py()))

    def view(self, name: str, kept: npt.NDArray[np.intp]) -> View:
        whole = [[int(n) or None for n in numbers[kept]] for numbers in (self.n_rows, self.widths)]
        grids = tuple(self.grids[kept].tolist())
        return View(name, tuple(self.splits), self.n_samples, tuple(whole[0]), grids, tuple(whole[1]))


_Places = tuple["npt.NDArray[np.intp]", "npt.NDArray[np.intp]"]


class Gathering:
    """Matrices that fill while tables of results come in.

    Parameters
    ----------
    layer_order
        Every model's layers, from input to output: the order of the axes.

    Notes
    -----
    Memory: for each index and view 10 bytes a pair of layers, and 4 for each column of `BESIDE` that it has.
    """

    def __init__(self, layer_order: LayerOrder) -> None:
        self._order = layer_order
        self._layers = [Layer(model, name) for model, names in layer_order.items() for name in names]
        self._where = {(layer.model, layer.layer): place for place, layer in enumerate(self._layers)}
        self._cells: dict[tuple[str, str], _Cells] = {}
        self._facts: dict[str, _Facts] = {}
        self._is_known = np.zeros(len(self._layers), np.bool_)

    def add(self, table: pa.Table) -> None:
        """Put the comparisons of a table of results into their cells; stitches in it are passed over.

        Raises
        ------
        StudyError
            A layer is not in `layer_order`.
        """
        if "method" in table.column_names and table["method"].null_count < len(table):
            table = table.filter(pc.is_null(table["method"]))
        if not len(table):
            return
        table = table.select(COLUMNS).unify_dictionaries().combine_chunks()
        i, j = (self._places(table, side) for side in ("source", "target"))
        self._is_known[i] = self._is_known[j] = True
        (view, views), (index, indices) = _codes(table["view"]), _codes(table["index"])
        group = view.astype(np.int64) * len(indices) + index
        # A stable sort keeps the rows of each matrix together, and in their order.
        order = np.argsort(group, kind="stable")
        table, i, j, group = table.take(pa.array(order)), i[order], j[order], group[order]
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(group)], strict=True):
            rows, at = table.slice(start, end - start), (i[start:end], j[start:end])
            names = str(views[group[start] // len(indices)]), str(indices[group[start] % len(indices)])
            cells = self._cells.setdefault(names, _Cells(len(self._layers)))
            cells.put(at, rows)
            self._facts.setdefault(names[0], _Facts.of(len(self._layers))).put(*at, rows)

    def comparison(self) -> Comparison:
        """Return the matrices. Layers without any comparison do not appear; nothing is added afterwards."""
        kept = np.flatnonzero(self._is_known)
        axis = tuple(self._layers[place] for place in kept.tolist())
        views = tuple(facts.view(name, kept) for name, facts in self._facts.items())
        made = [_matrix(index, view, cells, kept) for (view, index), cells in self._cells.items()]
        return Comparison(axis, views, tuple(sorted(made, key=_registered)))

    def _places(self, table: pa.Table, side: str) -> npt.NDArray[np.intp]:
        """Return the place of each row's layer on the axis."""
        (model, models), (layer, layers) = (_codes(table[f"{side}_{what}"]) for what in ("model", "layer"))
        places = np.array([[self._where.get((m, n), -1) for n in layers] for m in models], np.intp)
        at: npt.NDArray[np.intp] = places[model, layer]
        if (at < 0).any():
            row = int(np.flatnonzero(at < 0)[0])
            depth_of(
                self._order, models[model[row]], layers[layer[row]]
            )  # says which layer, and what is known
        return at


def comparison(results: pd.DataFrame, layer_order: LayerOrder) -> Comparison:
    """Return every index and view among results in memory as matrices.

    Layers without any comparison do not appear; the order is that of `layer_order`. Raises StudyError as
    `stitchpipe.studies.findings` does.
    """
    gathering = Gathering(layer_order)
    rows = matrices(results)
    # Empty columns of a frame have no type of their own.
    typed = dict.fromkeys(("value", *BESIDE), "float64") | {"reason": "str"}
    if len(rows):
        gathering.add(pa.Table.from_pandas(rows[[*COLUMNS]].astype(typed), preserve_index=False))
    return gathering.comparison()


def _codes(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], list[str]]:
    """Return the code of each row of a text column, and what the codes stand for."""
    held = column.combine_chunks()
    if isinstance(held, pa.ChunkedArray):
        held = held.chunk(0)
    if not pa.types.is_dictionary(held.type):
        held = held.dictionary_encode()
    return held.indices.to_numpy(zero_copy_only=False), held.dictionary.to_pylist()


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def _registered(matrix: Matrix) -> int:
    """Order matrices as the registry has the indices; unknown ones come last."""
    names = list(index_names())
    base = matrix.index.partition("(")[0]
    return names.index(base) if base in names else len(names)


def _matrix(index: str, view: str, cells: _Cells, kept: npt.NDArray[np.intp]) -> Matrix:
    described = find_measure(index)
    low, high = described.range if described else (-inf, inf)
    is_whole = len(kept) == cells.size
    at = np.ix_(kept, kept)
    values = cells.values if is_whole else cells.values[at]
    largest = float(np.nanmax(values, initial=-inf)) if np.isfinite(values).any() else 1.0
    return Matrix(
        index=index,
        view=view,
        title=described.title if described else index,
        values=values,
        beside={name: plane if is_whole else plane[at] for name, plane in cells.beside.items()},
        states=cells.states if is_whole else cells.states[at],
        reasons=tuple(cells.reasons),
        n_samples=cells.n_samples,
        lowest=0.0 if described else min(0.0, float(np.nanmin(values, initial=0.0))),
        highest=high if isfinite(high) else 1.0 if low == 0.0 else max(1.0, largest),
        larger_is_more_similar=described is None or described.larger_is_more_similar is not False,
    )
