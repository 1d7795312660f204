"""Matrices of results: one per index and view, sources down, targets across, in the networks' order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stitchpipe.studies.stitches import PAIR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.studies import Facts

BESIDE: Final = (
    *("low", "high", "p_value", "p_family", "effect_size", "null_gap"),
    *("rank", "condition"),
)
"""What a matrix may have beside each number, by column of the results."""
COLUMNS: Final = (
    *("index", "view", *PAIR, "value", "status", "reason"),
    *("split", "grid", "n_samples", "n_rows", "p", "q", *BESIDE),
)
"""The columns of the results that matrices are made of."""
STUDIED: Final = ("p_value", "p_family", "effect_size")
"""What of `BESIDE` studies read."""
UNMEASURED, MEASURED, WITHOUT = 0, 1, 2
"""States of a cell; from `WITHOUT` on it was measured and has no number, for the reason of that place."""


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
    beside
        What stands beside the values, by column of the results, NaN where there is none; only columns that have any.
    states
        ``(sources, targets)``: `UNMEASURED`, `MEASURED`, or `WITHOUT` and more: the place of its reason.
    reasons
        Why measured cells have no number.
    n_samples
        Images, fewer than the view's for indices over samples.
    lowest, highest
        What the colours span: the index's own range, cut where it is infinite.
    larger_is_more_similar
        False for distances and errors.
    """

    index: str
    view: str
    title: str
    values: npt.NDArray[np.float64]
    beside: Mapping[str, npt.NDArray[np.float32]]
    states: npt.NDArray[np.uint16]
    reasons: tuple[str, ...]
    n_samples: int
    lowest: float
    highest: float
    larger_is_more_similar: bool

    def reason(self, source: int, target: int) -> str | None:
        """Return why a measured cell has no number; None where it has one, or was not measured."""
        state = int(self.states[source, target])
        return self.reasons[state - WITHOUT] if state >= WITHOUT else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All matrices over one axis of layers."""

    axis: tuple[Layer, ...]
    views: tuple[View, ...]
    matrices: tuple[Matrix, ...]

    def frame(self, facts: Facts) -> pd.DataFrame:
        """Return the numbers that studies read, in the long form of the results: pairs of models that are related.

        Studies rank the layers of one model against each other, and of models whose layers or stages correspond, and
        hold them against controls; of other pairs no study speaks.
        """
        models = list(dict.fromkeys(layer.model for layer in self.axis))
        layers = list(dict.fromkeys(layer.layer for layer in self.axis))
        is_asked = np.array([[facts.are_related(x, y) for y in models] for x in models], np.bool_)
        of = np.array([models.index(layer.model) for layer in self.axis], np.intp)
        named = np.array([layers.index(layer.layer) for layer in self.axis], np.intp)
        wanted = is_asked[np.ix_(of, of)] if models else np.zeros((0, 0), np.bool_)
        # Names are categories, of which a row holds a code: as texts they would be most of a report's memory.
        kinds = {"index": self._named("index"), "view": self._named("view"), "model": models, "layer": layers}
        none = np.zeros(0, np.intp)
        empty = {name: _categories(kinds, name, none) for name in ("index", "view", *PAIR)}
        beside = [name for name in STUDIED if any(name in matrix.beside for matrix in self.matrices)]
        numbers = {"value": np.zeros(0), "n_samples": np.zeros(0, np.int64)}
        blocks = [pd.DataFrame({**empty, **numbers, **{name: np.zeros(0, np.float32) for name in beside}})]
        for matrix in self.matrices:
            i, j = np.nonzero(wanted & (matrix.states != UNMEASURED))
            codes = dict(zip(PAIR, (of[i], named[i], of[j], named[j]), strict=True))
            codes |= {
                name: np.full(len(i), kinds[name].index(getattr(matrix, name)), np.intp)
                for name in ("index", "view")
            }
            columns = {name: _categories(kinds, name, codes[name]) for name in ("index", "view", *PAIR)}
            nothing = np.full(len(i), np.nan, np.float32)
            known = {name: matrix.beside[name][i, j] for name in beside if name in matrix.beside}
            numbers = {"value": matrix.values[i, j], "n_samples": np.full(len(i), matrix.n_samples)}
            blocks.append(pd.DataFrame({**columns, **numbers, **dict.fromkeys(beside, nothing), **known}))
        return pd.concat(blocks, ignore_index=True)

    def _named(self, what: str) -> list[str]:
        return list(dict.fromkeys(getattr(matrix, what) for matrix in self.matrices))


def _categories(
    kinds: Mapping[str, list[str]], name: str, codes: npt.NDArray[np.intp]
) -> pd.Categorical[Any]:
    """Return a column of names by their codes; both sides of a pair have the same names."""
    dtype: Any = pd.CategoricalDtype(kinds[name.rpartition("_")[2]])
    return pd.Categorical.from_codes(codes, dtype=dtype)


def boundaries(axis: Sequence[Layer]) -> list[int]:
    """Return where on an axis another model begins."""
    return [number for number in range(1, len(axis)) if axis[number].model != axis[number - 1].model]
