"""One pair of representations: its indices in both directions, as rows of the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from stitchpipe.algebra import Analysis, IndexValue, UndefinedIndexError
from stitchpipe.rows import grid_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.algebra import PairMoments
    from stitchpipe.in_memory.summaries import ArraySummaries
    from stitchpipe.measures import Measure

_Outcome: TypeAlias = tuple[IndexValue | None, str, str | None]

COLUMNS: Final = {
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
"""The columns of the data frame that comparisons in memory return, and their types."""


@dataclass(frozen=True, eq=False)
class Pair:
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

    def swap(self) -> Pair:
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


def both_directions(pair: Pair) -> dict[tuple[str, str], list[dict[str, object]]]:
    """Return the records of a pair and of its reverse, which on the same grid needs no product of its own."""
    n_samples = len(pair.scored.samples[pair.source])

    def outcomes(analysis: Analysis) -> dict[str, _Outcome]:
        return {index.name: _outcome(index, analysis, n_samples) for index in pair.indices}

    forth = pair.analysis()
    records = {(pair.source, pair.target): pair.records(outcomes(forth), forth.pair)}
    if pair.source != pair.target:
        shared = pair.scored.grid(pair.source) == pair.scored.grid(pair.target)
        back = forth.swap() if shared else pair.swap().analysis()
        records[pair.target, pair.source] = pair.swap().records(outcomes(back), back.pair)
    return records


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
