"""Numbers now: compare arrays in memory, all ordered pairs, a labelled data frame back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import array_api_compat as api
import numpy as np
import numpy.typing as npt
import pandas as pd

from stitchpipe.algebra import (
    INDICES,
    Analysis,
    CrossMoments,
    IndexValue,
    Moments,
    PairMoments,
    RowsError,
    UndefinedIndexError,
    augment,
    index_named,
    pair_from_augmented,
    stored_spacing,
)
from stitchpipe.rows import Grid, View, ViewError, grid_label, grid_of, result_grid, to_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Label: TypeAlias = View | Literal["as_given"]
Samples: TypeAlias = npt.NDArray[np.floating]

DEFAULT_INDICES = ("cka", "procrustes", "dm_r2")
COLUMNS = {
    "source": "string",
    "target": "string",
    "index": "string",
    "value": "Float64",
    "status": "string",
    "reason": "string",
    "view": "string",
    "grid": "string",
    "fit": "string",
    "n_samples": "Int64",
    "n_rows": "Int64",
    "p": "Int64",
    "q": "Int64",
    "rank": "Int64",
    "condition": "Float64",
}
"""The columns of the data frame that `compare_arrays` returns, and their types."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """One representation as rows on one grid, augmented by their squared norm, and its own moments."""

    augmented: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    moments: Moments


class _Summaries:
    """Own moments of each representation on each grid, formed once, and pairs assembled from them."""

    def __init__(self, arrays: Mapping[str, Any], view: View | None, *, where: str) -> None:
        self.samples = {name: _samples(name, array) for name, array in arrays.items()}
        self.spacing = {name: stored_spacing(array) for name, array in arrays.items()}
        _same_count(self.samples, where)
        self.view = _view_label(self.samples, view)
        self._rows: dict[tuple[str, Grid], _Rows] = {}

    def grid(self, target: str) -> Grid:
        """Return the grid on which a comparison into `target` is made."""
        return () if self.view == "as_given" else result_grid(self.view, self.samples[target].shape[1:])

    def pair(self, source: str, target: str) -> PairMoments:
        grid = self.grid(target)
        x, y = self._on_grid(source, grid), self._on_grid(target, grid)
        cross = CrossMoments.from_block(x.augmented, y.augmented)
        return pair_from_augmented(x.moments, y.moments, cross, shift_x=x.shift, shift_y=y.shift)

    def _on_grid(self, name: str, grid: Grid) -> _Rows:
        if (name, grid) not in self._rows:
            block = self.samples[name]
            rows = block.astype(np.float64) if self.view == "as_given" else to_rows(block, self.view, grid)
            shift = rows.mean(axis=0)
            augmented = augment(rows, shift)
            self._rows[name, grid] = _Rows(augmented, shift, Moments.from_block(augmented))
        return self._rows[name, grid]


def compare(*what: Any, **options: Any) -> pd.DataFrame:
    """Compare representations in memory: no store, no orchestration, the same algebra.

    ``compare({"name": array, …}, indices=[…])`` takes arrays, see `compare_arrays`;
    ``compare(model_a, model_b, loader, layers=[…])`` takes networks and images, see
    `stitchpipe.network_comparison.compare_networks`. Both return one row per number.
    """
    if len(what) == 1:
        return compare_arrays(*what, **options)
    # Torch is imported where networks are compared, and nowhere else.
    from stitchpipe.network_comparison import compare_networks  # noqa: PLC0415

    return compare_networks(*what, **options)


def compare_arrays(
    representations: Mapping[str, Any],
    *,
    indices: Sequence[str] = DEFAULT_INDICES,
    view: View | None = None,
    fit: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Compare every ordered pair of representations held in memory, self-pairs included.

    Parameters
    ----------
    representations
        Name → array of NumPy, torch, or anything `numpy.asarray` takes; first axis = the same samples in the
        same order. ``(n, D)``, ``(n, T, D)`` or ``(n, C, H, W)``.
    indices
        Names from `stitchpipe.algebra.INDICES`.
    view
        How samples become rows: ``positions``, ``pooled`` or ``flatten``. Required unless all arrays are
        two-dimensional, whose rows are taken as they are (``as_given``). Where spatial sizes differ the
        source is resized to the target's.
    fit
        The same names on other samples: ``dm_r2`` and ``dm_struct`` then score maps fitted there. Without it
        maps are fitted on the very rows they are scored on, which flatters them; the column ``fit`` says
        ``held_out`` or ``in_sample``.

    Returns
    -------
    pandas.DataFrame
        One row per number, with the columns `COLUMNS`. Where an index has no value, ``value`` is missing and
        ``status`` and ``reason`` say why.

    Raises
    ------
    UnknownIndexError
        A name that is no index.
    RowsError
        Empty input, different sample counts, NaN or infinite entries, `fit` of other names or shapes.
    ViewError
        A view is needed and none was given, or an array has no such view.

    Notes
    -----
    Time O(L²·n·p·q) for L representations, one product per ordered pair; memory for all rows in float64.
    """
    chosen = [index_named(name).name for name in indices]
    scored = _Summaries(representations, view, where="representations")
    fitted_on = scored
    if fit is not None:
        fitted_on = _Summaries(fit, view, where="fit")
        _check_same_layers(scored.samples, fitted_on.samples)
    records = [
        record
        for source, target in product(scored.samples, repeat=2)
        for record in _records(scored, fitted_on, source, target, chosen)
    ]
    return pd.DataFrame.from_records(records, columns=list(COLUMNS)).astype(COLUMNS)


def _records(
    scored: _Summaries, fitted_on: _Summaries, source: str, target: str, indices: Sequence[str]
) -> Iterator[dict[str, object]]:
    """Yield one record per index of one ordered pair."""
    pair = scored.pair(source, target)
    n_samples = len(scored.samples[source])
    train = None
    if any(INDICES[name].held_out for name in indices):
        train = pair if fitted_on is scored else fitted_on.pair(source, target)
    analysis = Analysis(pair, train, (scored.spacing[source], scored.spacing[target]))
    for name in indices:
        held_out = INDICES[name].held_out
        value, status, reason = _value(name, analysis, rows=pair.n // n_samples)
        yield {
            "source": source,
            "target": target,
            "index": name,
            "value": value.value if value else None,
            "status": status,
            "reason": reason,
            "view": scored.view,
            "grid": grid_label(scored.grid(target)),
            "fit": ("in_sample" if fitted_on is scored else "held_out") if held_out else None,
            "n_samples": n_samples,
            "n_rows": pair.n,
            "p": pair.mean_x.shape[0],
            "q": pair.mean_y.shape[0],
            "rank": value.rank if value else None,
            "condition": value.condition if value else None,
        }


def _value(name: str, analysis: Analysis, *, rows: int) -> tuple[IndexValue | None, str, str | None]:
    """Return the value of an index, its status, and the reason where there is no value."""
    if INDICES[name].independent_rows and rows > 1:
        reason = (
            f"the estimator takes rows for independent, here {rows} come from one sample: pool or flatten"
        )
        return None, "dependent_rows", reason
    try:
        return analysis.value(name), "ok", None
    except UndefinedIndexError as undefined:
        return None, undefined.status, undefined.reason


def _samples(name: str, array: Any) -> Samples:
    """Return an array of samples as floating-point NumPy, refusing what is not finite numbers."""
    if api.is_torch_array(array):
        array = array.detach().cpu()
        array = array.float() if array.element_size() < 4 else array
    block = np.asarray(array)
    numbers = block.ndim >= 2 and block.size > 0 and block.dtype.kind in "fiub"
    if not (numbers and bool(np.isfinite(block).all())):
        raise RowsError(
            where=f"representation {name!r}",
            expected="finite real numbers, first axis = samples, at least one more axis",
            found=f"{block.dtype} of shape {block.shape}"
            + (" with NaN or infinite entries" if numbers else ""),
            remedy="Find the layer and sample that produced them; a single feature is (n, 1).",
        )
    return block if block.dtype.kind == "f" else block.astype(np.float64)


def _same_count(samples: Mapping[str, Samples], where: str) -> None:
    counts = {name: len(block) for name, block in samples.items()}
    if len(set(counts.values())) != 1:
        raise RowsError(
            where=where,
            expected="at least one array, all of the same samples in the same order",
            found=f"sample counts {counts}",
            remedy="Pass representations of the same inputs.",
        )


def _view_label(samples: Mapping[str, Samples], view: View | None) -> Label:
    if view is not None:
        return view
    spatial = [name for name, block in samples.items() if grid_of(block.shape[1:])]
    if not spatial:
        return "as_given"
    raise ViewError(
        where=f"representation {spatial[0]!r}",
        expected="a view, because its samples have positions",
        found=f"shape {samples[spatial[0]].shape} and no view",
        remedy="Pass view='pooled', 'positions' or 'flatten'; indices differ between them.",
    )


def _check_same_layers(scored: Mapping[str, Samples], fitted_on: Mapping[str, Samples]) -> None:
    expected = {name: block.shape[1:] for name, block in scored.items()}
    found = {name: block.shape[1:] for name, block in fitted_on.items()}
    if expected != found:
        raise RowsError(
            where="fit",
            expected=f"the representations' names and sample shapes {expected}",
            found=str(found),
            remedy="Pass the same layers on other samples.",
        )
