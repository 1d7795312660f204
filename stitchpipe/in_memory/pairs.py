"""One pair of representations: its indices in both directions, as rows of the result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from stitchpipe.algebra import Analysis
from stitchpipe.measures import Number
from stitchpipe.rows import grid_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.algebra import Index, PairMoments
    from stitchpipe.in_memory.summaries import ArraySummaries

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
    indices: tuple[Index, ...]

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
        # The moments of the fit cost another product, and only maps need them.
        if any(index.measure.held_out for index in self.indices):
            train = pair if self.in_sample else self.fitted_on.pair(self.source, self.target)
        return Analysis(pair, train, (self.scored.spacing[self.source], self.scored.spacing[self.target]))

    def records(self, numbers: Mapping[str, Number], moments: PairMoments) -> list[dict[str, object]]:
        """Return one record per index, with the columns `COLUMNS`."""
        fit = "in_sample" if self.in_sample else "held_out"
        return [
            {
                "source": self.source,
                "target": self.target,
                "index": index.name,
                "value": number.value,
                "status": number.status,
                "reason": number.reason,
                "view": self.scored.view,
                "grid": grid_label(self.scored.grid(self.target)),
                "fit": fit if index.measure.held_out else None,
                "n_samples": len(self.scored.samples[self.source]),
                "n_rows": moments.n,
                "p": moments.mean_x.shape[0],
                "q": moments.mean_y.shape[0],
                "rank": number.extras.get("rank"),
                "condition": number.extras.get("condition"),
            }
            for index in self.indices
            for number in (numbers[index.name],)
        ]


def both_directions(pair: Pair) -> dict[tuple[str, str], list[dict[str, object]]]:
    """Return the records of a pair and of its reverse, which on the same grid needs no product of its own."""
    n_samples = len(pair.scored.samples[pair.source])

    def numbers(analysis: Analysis) -> dict[str, Number]:
        return {index.name: _number(index, analysis, n_samples) for index in pair.indices}

    forth = pair.analysis()
    records = {(pair.source, pair.target): pair.records(numbers(forth), forth.pair)}
    if pair.source != pair.target:
        # A comparison is made on the target's grid. On one grid for both, XY of the reverse is the
        # transpose of this one.
        shared = pair.scored.grid(pair.source) == pair.scored.grid(pair.target)
        back = forth.swap() if shared else pair.swap().analysis()
        records[pair.target, pair.source] = pair.swap().records(numbers(back), back.pair)
    return records


def _number(index: Index, analysis: Analysis, n_samples: int) -> Number:
    """Return the value of an index, or the reason why there is none."""
    # A view by positions gives several rows for each sample.
    rows = analysis.pair.n // n_samples
    if index.measure.independent_rows and rows > 1:
        reason = (
            f"the estimator takes rows for independent, here {rows} come from one sample: pool or flatten"
        )
        return Number.missing("dependent_rows", reason)
    return index.number(analysis)
