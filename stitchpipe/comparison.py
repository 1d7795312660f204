"""Numbers now: compare arrays in memory, all ordered pairs, a labelled data frame back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd

from stitchpipe.algebra import (
    AlgebraError,
    Analysis,
    IndexValue,
    RowsError,
    UndefinedIndexError,
)
from stitchpipe.array_summaries import ArraySummaries, Samples
from stitchpipe.registry import index_measure
from stitchpipe.rows import View, grid_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.algebra import PairMoments
    from stitchpipe.measures import Measure

_Outcome: TypeAlias = tuple[IndexValue | None, str, str | None]

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
        Names as `stitchpipe indices` lists them, those of moments; a parameter in parentheses: ``gulp(0.1)``.
    view
        How samples become rows: ``positions``, ``pooled`` or ``flatten``. Required unless all arrays are
        two-dimensional, whose rows are taken as they are (``as_given``). Where spatial sizes differ the
        source is resized to the target's under ``positions``; under ``flatten`` widths may differ as they are.
    fit
        The same names on other samples: ``dm_…`` indices then score maps fitted there. Without it
        maps are fitted on the very rows they are scored on, which flatters them; the column ``fit`` says
        ``held_out`` or ``in_sample``.

    Returns
    -------
    pandas.DataFrame
        One row per number, with the columns `COLUMNS`. Where an index has no value, ``value`` is missing and
        ``status`` and ``reason`` say why.

    Raises
    ------
    UnknownNameError
        A name that is no index.
    AlgebraError
        An index of something else than moments of rows.
    RowsError
        Empty input, different sample counts, NaN or infinite entries, `fit` of other names or shapes.
    ViewError
        A view is needed and none was given, or an array has no such view.

    Notes
    -----
    Time O(L²·n·p·q) for L representations: one product per pair, and under ``positions`` one per direction where
    the grids differ. Memory for all rows in float64.
    """
    chosen = tuple(_chosen(name) for name in indices)
    scored = ArraySummaries(representations, view, where="representations")
    fitted_on = scored
    if fit is not None:
        fitted_on = ArraySummaries(fit, view, where="fit")
        _check_same_layers(scored.samples, fitted_on.samples)
    names = list(scored.samples)
    found: dict[tuple[str, str], list[dict[str, object]]] = {}
    for place, one in enumerate(names):
        for other in names[place:]:
            found |= _both_directions(_Pair(scored, fitted_on, one, other, chosen))
    records = [record for source in names for target in names for record in found[source, target]]
    return pd.DataFrame.from_records(records, columns=list(COLUMNS)).astype(COLUMNS)


def _chosen(name: str) -> Measure:
    """Return the index of that name, refusing those that are not computed from moments of rows."""
    index = index_measure(name)
    if index.computed_from != "moments":
        raise AlgebraError(
            where=f"index {index.name}",
            expected="an index of moments of rows",
            found=f"one of {index.computed_from}",
            remedy="Leave it out here.",
        )
    return index


@dataclass(frozen=True, eq=False)
class _Pair:
    """One ordered pair of representations and what is asked of it."""

    scored: ArraySummaries
    fitted_on: ArraySummaries
    source: str
    target: str
    indices: tuple[Measure, ...]

    @property
    def in_sample(self) -> bool:
        """Maps are scored on the rows they are fitted on."""
        return self.fitted_on is self.scored

    def swap(self) -> _Pair:
        """Return the other direction."""
        return replace(self, source=self.target, target=self.source)

    def analysis(self) -> Analysis:
        """Form the products of this direction."""
        pair = self.scored.pair(self.source, self.target)
        train = None
        if any(index.held_out for index in self.indices):
            train = pair if self.in_sample else self.fitted_on.pair(self.source, self.target)
        return Analysis(pair, train, (self.scored.spacing[self.source], self.scored.spacing[self.target]))

    def records(self, outcomes: Mapping[str, _Outcome], moments: PairMoments) -> list[dict[str, object]]:
        """Return one record per index, with the columns `COLUMNS`."""
        fit = "in_sample" if self.in_sample else "held_out"
        return [
            {
                "source": self.source,
                "target": self.target,
                "index": index.name,
                "value": value.value if value else None,
                "status": status,
                "reason": reason,
                "view": self.scored.view,
                "grid": grid_label(self.scored.grid(self.target)),
                "fit": fit if index.held_out else None,
                "n_samples": len(self.scored.samples[self.source]),
                "n_rows": moments.n,
                "p": moments.mean_x.shape[0],
                "q": moments.mean_y.shape[0],
                "rank": value.rank if value else None,
                "condition": value.condition if value else None,
            }
            for index in self.indices
            for value, status, reason in (outcomes[index.name],)
        ]


def _both_directions(pair: _Pair) -> dict[tuple[str, str], list[dict[str, object]]]:
    """Return the records of a pair and of its reverse, which on the same grid needs no product of its own."""
    rows = len(pair.scored.samples[pair.source])
    forth = pair.analysis()
    there = {index.name: _outcome(index, forth, rows) for index in pair.indices}
    found = {(pair.source, pair.target): pair.records(there, forth.pair)}
    if pair.source == pair.target:
        return found
    shared = pair.scored.grid(pair.source) == pair.scored.grid(pair.target)
    back = forth.swap() if shared else pair.swap().analysis()
    here = {index.name: _outcome(index, back, rows) for index in pair.indices}
    return found | {(pair.target, pair.source): pair.swap().records(here, back.pair)}


def _outcome(index: Measure, analysis: Analysis, n_samples: int) -> _Outcome:
    """Return the value of an index, its status, and the reason where there is no value."""
    rows = analysis.pair.n // n_samples
    if index.independent_rows and rows > 1:
        reason = (
            f"the estimator takes rows for independent, here {rows} come from one sample: pool or flatten"
        )
        return None, "dependent_rows", reason
    try:
        return analysis.value(index.name), "ok", None
    except UndefinedIndexError as undefined:
        return None, undefined.status, undefined.reason


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
