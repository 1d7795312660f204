"""Numbers of the engine as tables of results: what is known of a layer is looked up by its place, for all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.registry import index_measure
from stitchpipe.results import coded, table_of, texts_of
from stitchpipe.rows import grid_label, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from stitchpipe.engine import Comparison, PairNumbers
    from stitchpipe.results import Keys
    from stitchpipe.rows import View
    from stitchpipe.run import Run
    from stitchpipe.run.activations import Ends


class ResultTables:
    """What is known of the layers of a comparison, one entry for each, in columns.

    Parameters
    ----------
    keys
        Of every index of every pair, ``[layers, layers]`` each, by view.
    """

    def __init__(
        self, run: Run, ends: Ends, comparison: Comparison, keys: Mapping[View, Mapping[str, Keys]]
    ) -> None:
        self._comparison, self._keys = comparison, keys
        depths, names = run.layers.depths, list(ends)
        self._depths = np.array([depths.get(name, np.nan) for name in names], np.float64)
        self._models = _Texts([name.model for name in names])
        self._layers = _Texts([name.layer for name in names])
        self._digests = _Texts([end.test.digest for end in ends.values()])

    def of(self, numbers: PairNumbers) -> pa.Table:
        """Return numbers as a table: with names, depths, digests, keys, and what is missing beside them."""
        numbers = numbers.remarked(self._comparison.remarks.get(numbers.view, {}))
        view, splits = numbers.view, self._comparison.splits
        source, target = numbers.pairs.T
        layers = self._comparison.layers
        widths = np.array([width_of(layer.shape, view) for layer in layers], np.int64)
        grids = _Texts([grid_label(layer.grid if view == "positions" else ()) for layer in layers])
        is_fitted = np.array([index_measure(name).held_out for name in numbers.names], np.bool_)
        statuses, reasons = zip(*numbers.notes, strict=True) if numbers.notes else ((), ())
        columns: dict[str, Any] = {
            "index": coded(numbers.names, numbers.index),
            "value": numbers.values,
            "status": _Texts(statuses).of(numbers.note),
            "reason": _Texts(reasons).of(numbers.note),
            "view": view,
            "grid": grids.of(target),
            "fit_split": coded([splits[0].name, None], np.where(is_fitted[numbers.index], 0, 1)),
            "split": splits[-1].name,
            "n_samples": numbers.n_samples,
            "n_rows": numbers.n_rows,
            "p": widths[source],
            "q": widths[target],
            "key": texts_of(self._keys_of(numbers)),
            **numbers.extras,
        }
        if "p_family" in numbers.extras:
            has_none = np.isnan(numbers.extras["p_family"])
            columns["family"] = coded([self._comparison.family, None], has_none.astype(np.int32))
        for name, places in (("source", source), ("target", target)):
            columns[f"{name}_model"] = self._models.of(places)
            columns[f"{name}_layer"] = self._layers.of(places)
            columns[f"{name}_depth"] = self._depths[places]
            columns[f"{name}_digest"] = self._digests.of(places)
        return table_of(len(numbers), columns)

    def _keys_of(self, numbers: PairNumbers) -> Keys:
        """Return the key of each number."""
        keys = np.zeros(len(numbers), np.uint64)
        for code, name in enumerate(numbers.names):
            here = numbers.index == code
            if here.any():
                keys[here] = self._keys[numbers.view][name][tuple(numbers.pairs[here].T)]
        return keys


class _Texts:
    """Texts of which many are equal: each once, and which of them each entry has."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        self._names = list(dict.fromkeys(texts))
        place = {name: code for code, name in enumerate(self._names)}
        self._codes = np.array([place[name] for name in texts], np.int32)

    def of(self, places: npt.NDArray[np.integer[Any]]) -> pa.DictionaryArray:
        """Return the texts of some entries as a column."""
        return coded(self._names, self._codes[places])
