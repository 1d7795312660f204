"""Study **data-sets**: whether the same pairs of layers rank alike in two runs, on other data or another split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.studies.effect import Effect, jackknifed
from stitchpipe.studies.finding import Finding, fraction
from stitchpipe.studies.rank_correlation import codes, kendall, spearman
from stitchpipe.studies.stitches import PAIR
from stitchpipe.studies.study import Need, Study
from stitchpipe.studies.two_runs import BY, numbers, shared

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence


def consistency(evidence: Evidence) -> list[Finding | None]:
    """Answer for every other run whether pairs rank alike there; nothing without other runs."""
    return [_against(evidence.networks, other.networks) for other in evidence.others]


def _against(evidence: Evidence, other: Evidence) -> Finding | None:
    here = numbers(evidence)
    both = shared(here, numbers(other))
    table: list[dict[str, Any]] = []
    effects: list[Effect] = []
    for (by, view), block in both.groupby(BY, sort=False):
        name = f"{by} ({view})" if view else str(by)
        coded = block.assign(
            x=codes(block["likeness"].to_numpy()), y=codes(block["likeness there"].to_numpy())
        )
        rho = jackknifed(f"Spearman ρ by {name}", coded, ["x", "y"], spearman)
        tau = jackknifed(f"Kendall τ by {name}", coded, ["x", "y"], kendall)
        if rho.value != rho.value:
            continue
        effects += [rho, tau]
        row: dict[str, Any] = {"by": name, "pairs": len(block), "Spearman ρ": rho.value, "ρ low": rho.low}
        row |= {"ρ high": rho.high, "Kendall τ": tau.value, "τ low": tau.low, "τ high": tau.high}
        table.append(row | {"median difference": float((block["value there"] - block["value"]).median())})
    if not table:
        return None
    frame = (
        pd.DataFrame(table).sort_values("Spearman ρ", ascending=False, kind="stable").reset_index(drop=True)
    )
    best, worst = frame.iloc[0], frame.iloc[-1]
    blind = frame[~(frame["ρ low"] > 0)]
    lost = len(here) - len(both)
    return Finding(
        name="consistency",
        question=f"Do the same pairs of layers rank alike in {other.label or 'the other run'}?",
        answer=f"The rank correlation of the tables of pairs lies between {worst['Spearman ρ']:.2f} ({worst['by']}) "
        f"and {best['Spearman ρ']:.2f} ({best['by']}); for {fraction(len(frame) - len(blind), len(frame))} measures "
        "its interval lies above 0.",
        claim="",
        outcome=None,
        criterion="",
        numbers={row["by"]: row["Spearman ρ"] for row in frame.to_dict("records")},
        table=frame,
        detail=both[[*BY, *PAIR, "value", "value there"]],
        falsifier="An interval that holds 0: by that measure the order of pairs says something of the data alone.",
        effects=tuple(effects),
        left_out=(f"{lost} numbers of pairs that only one run has",) if lost else (),
    )


DATA_SETS = Study(
    name="data-sets",
    title="Two data sets",
    question="Do the same pairs of layers rank alike on other data, another split, or in another run?",
    needs=(
        Need(
            "a second run over the same models: `stitchpipe study data-sets RUN OTHER`, of the same sweep with "
            "other [data]",
            finding="consistency",
        ),
    ),
    analysis=consistency,
)
