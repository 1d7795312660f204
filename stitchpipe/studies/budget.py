"""Study **budget**: how accuracy, order and drift of task loss matching go with the steps of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.studies.effect import Effect, mean_of_units, share_of_targets
from stitchpipe.studies.equal_budget import against_reference, with_ends
from stitchpipe.studies.finding import Finding, fraction, signed
from stitchpipe.studies.measures import RELATIVE, distances
from stitchpipe.studies.stitches import BUDGET, PAIR, measures_of
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence

SAME = [*PAIR, *(name for name in BUDGET if name != "steps")]
"""What trainings have in common that differ in their steps alone."""


def steps(evidence: Evidence) -> Finding | None:
    """Answer what more steps change; None without pairs that were trained for several numbers of steps."""
    trained = _trained_again(evidence)
    if trained.empty:
        return None
    fewest, most = int(trained["steps"].min()), int(trained["steps"].max())
    ends = trained[trained["steps"] == fewest].merge(
        trained[trained["steps"] == most], on=SAME, suffixes=("", " most")
    )
    if ends.empty:
        return None
    ends = ends.assign(gain=ends[f"{RELATIVE} most"] - ends[RELATIVE])
    named = {
        name: title for name, title in distances(measures_of(trained)).items() if trained[name].notna().any()
    }
    effects = [mean_of_units(f"relative accuracy, {most} steps less {fewest}, mean", ends, "gain")]
    effects += [
        mean_of_units(
            f"distance by {title}, {most} steps less {fewest}, mean",
            ends.assign(moved=ends[f"{name} most"] - ends[name]).dropna(subset=["moved"]),
            "moved",
        )
        for name, title in named.items()
    ]
    counts = sorted(int(count) for count in trained["steps"].unique())
    orders = {count: _order(trained[trained["steps"] == count], count) for count in counts}
    known = {count: share for count, share in orders.items() if share is not None}
    said = "; ".join(f"{share.value:.0%} after {count} steps" for count, share in known.items())
    return Finding(
        name="steps",
        question="What do more steps of task loss matching change?",
        answer=f"From {fewest} to {most} steps relative accuracy changes by {signed(float(ends['gain'].mean()), 3)} on "
        f"average; it rises in {fraction(int((ends['gain'] > 0).sum()), len(ends))} stitches."
        + (f" Another layer is at or above the layer itself for {said} of target layers." if said else ""),
        claim="",
        outcome=None,
        criterion="",
        numbers={"stitches at both ends": len(ends), "mean gain": float(ends["gain"].mean())},
        table=_by_steps(trained, named, known),
        detail=with_ends(ends)[
            ["source", "target", "init", "objective", "seed", RELATIVE, f"{RELATIVE} most", "gain"]
        ],
        falsifier="For a ranking by task loss that says something of layers: shares that do not change with the steps. "
        "Where they fall towards 0, what was ranked was how fast a map is learned.",
        effects=(*effects, *known.values()),
        left_out=evidence.left_out,
    )


def _trained_again(evidence: Evidence) -> pd.DataFrame:
    """Return the trainings of pairs that were trained for several numbers of steps."""
    stitched = evidence.stitched
    trained = stitched[(stitched["method"] == "tlm") & stitched[RELATIVE].notna()]
    several = trained.groupby(SAME, dropna=False)["steps"].transform("nunique") > 1
    again: pd.DataFrame = trained[several.astype(bool)]
    return again


def _order(trained: pd.DataFrame, count: int) -> Effect | None:
    """Return for how many targets another layer is at or above the layer itself; None where that was not trained."""
    within = trained[trained["source_model"] == trained["target_model"]]
    both = against_reference(within)
    if both.empty:
        return None
    judged = both.assign(at_or_above=both["TLM"] >= both["TLM reference"])
    return share_of_targets(
        f"share of target layers with another at or above the layer itself, {count} steps",
        judged,
        "at_or_above",
    )


def _by_steps(trained: pd.DataFrame, named: dict[str, str], orders: dict[int, Effect]) -> pd.DataFrame:
    rows = []
    for (_, kind), block in trained.groupby(["steps", "kind"]):
        count = int(block["steps"].iloc[0])
        row: dict[str, Any] = {"steps": count, "pairs": kind, "stitches": len(block)}
        row |= {"relative accuracy, mean": float(block[RELATIVE].mean())}
        row |= {f"{title}, mean": float(block[name].mean()) for name, title in named.items()}
        rows.append(
            row | {"targets with another at or above": orders[count].value if count in orders else None}
        )
    return pd.DataFrame(rows)


BUDGETS = Study(
    name="budget",
    title="Steps of training",
    question="How do accuracy, order and drift of task loss matching go with the steps of its training?",
    needs=(Need("the same pairs trained by task loss for several numbers of steps", finding="steps"),),
    analysis=lambda evidence: [steps(evidence.claims)],
)
