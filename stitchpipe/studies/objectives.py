"""Study **dm-or-not**: direct matching beside trainings for the task and for the target's features, at one budget."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.studies.distance import of_distance
from stitchpipe.studies.effect import Effect, mean_of_units, share_of_cases
from stitchpipe.studies.finding import SOURCE, Finding, Outcome, signed
from stitchpipe.studies.making import makings
from stitchpipe.studies.measures import RELATIVE, distances
from stitchpipe.studies.stitches import PAIR, measures_of
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.studies.evidence import Evidence

DIRECT = "DM"
OBJECTIVES = ("hard_labels", "penultimate", "fula")


def dm_or_not(evidence: Evidence) -> list[Finding | None]:
    """Answer which way of making a stitch orders layers best; None without direct matching and a training beside it.

    Ways that have less than half as many pairs as the one with the most would leave hardly any pairs for all. They are
    left out of the first answer; the second is of all ways, on the pairs that these few have.
    """
    stitches = _of_one_budget(evidence)
    counts = stitches.loc[stitches["making"] != DIRECT, "making"].value_counts()
    few = [str(name) for name in counts.index if 2 * counts[name] < counts.max()]
    said = [f"{name}, of {counts[name]} pairs alone" for name in few]
    most = stitches[~stitches["making"].isin(few)]
    found = [_compared("dm-or-not", most, (*evidence.left_out, *said))]
    if few:
        found.append(_compared("dm-or-not-every-way", stitches, evidence.left_out))
    return found


def _compared(name: str, stitches: pd.DataFrame, left_out: Sequence[str]) -> Finding | None:
    """Compare ways of making stitches on the pairs that were made in every one of them."""
    ways = stitches["making"].nunique()
    rows = stitches[stitches.groupby(PAIR)["making"].transform("nunique") == ways]
    if ways < 2 or rows.empty:
        return None
    named = {name: title for name, title in distances(measures_of(rows)).items() if rows[name].notna().any()}
    table, effects = [], []
    order: dict[str, tuple[Effect, Effect | None]] = {}
    for making, block in rows.groupby("making", sort=False):
        row, falls, top, mean = _way(str(making), block)
        order[str(making)] = falls, top
        effects += [falls, *([top] if top else []), mean]
        table.append(row | {f"{title}, mean": block[key].mean() for key, title in named.items()})
    if not isfinite(order[DIRECT][0].value):
        return None
    said = "; ".join(f"{name} {signed(falls.value)}" for name, (falls, _) in order.items())
    return Finding(
        name=name,
        question="Is direct matching the way to measure similarity, or does training for features do as well?",
        answer=f"On the same {rows.groupby(PAIR).ngroups} pairs, accuracy goes with the layers between by Spearman ρ: "
        f"{said}.",
        claim=f"Direct matching orders layers as similarity should, task loss matching does not ({SOURCE}); matching "
        "of final features is held against it (CVPR 2026).",
        outcome=_outcome(order),
        criterion="The interval of direct matching's ρ lies below those of all others, and it has the layer itself on "
        "top for the most targets: as claimed if both, partly if one of them.",
        numbers={f"ρ, {name}": falls.value for name, (falls, _) in order.items()},
        table=pd.DataFrame(table),
        detail=rows[[*PAIR, "making", RELATIVE, *named]].rename(columns=named),
        falsifier="A training whose ρ is as negative as that of direct matching within the intervals, and that has the "
        "layer itself on top as often.",
        effects=tuple(effect for effect in effects if effect.value == effect.value),
        left_out=tuple(left_out),
    )


def _way(name: str, block: pd.DataFrame) -> tuple[dict[str, Any], Effect, Effect | None, Effect]:
    """Return the line of one way, with its ρ, how often the layer itself is on top, and its mean accuracy."""
    falls = of_distance(f"Spearman ρ of accuracy with the layers between, {name}", block)
    top = _top(name, block)
    mean = mean_of_units(f"relative accuracy, {name}, mean", block, RELATIVE)
    row = {
        "stitches": name,
        "pairs": len(block),
        "relative accuracy, mean": block[RELATIVE].mean(),
        "Spearman ρ": falls.value,
        "low": falls.low,
        "high": falls.high,
        "layer itself on top": None if top is None else top.value,
    }
    return row, falls, top, mean


def _of_one_budget(evidence: Evidence) -> pd.DataFrame:
    """Return direct matching and the trainings of the budget that most kinds of them have, each with how it was made.

    Nothing where there is no training.
    """
    stitched = evidence.stitched
    known = stitched[stitched[RELATIVE].notna()]
    asked = known["objective"].isin(OBJECTIVES) & known["init"].isin(["random", "dm"])
    trained = known[(known["method"] == "tlm") & asked]
    if trained.empty:
        return trained.assign(making="")
    kinds = trained.groupby(["steps", "seed"])["objective"].transform("nunique")
    first = trained[kinds == kinds.max()].iloc[0]
    trained = trained[(trained["steps"] == first["steps"]) & (trained["seed"] == first["seed"])]
    trained = trained.assign(making=makings(trained, ("method", "init", "objective")))
    direct = known[known["method"] == "dm"].assign(making=DIRECT)
    both: pd.DataFrame = pd.concat([direct, trained])
    return both


def _top(name: str, block: pd.DataFrame) -> Effect | None:
    """Return for how many targets no other layer of the network is above the layer itself."""
    within = block[block["source_model"] == block["target_model"]]
    keys = ["target_model", "target_layer"]
    own = within[within["source_layer"] == within["target_layer"]].set_index(keys)[RELATIVE]
    others = within[within["source_layer"] != within["target_layer"]].groupby(keys)[RELATIVE].max()
    both = pd.DataFrame({"own": own, "other": others}).dropna().reset_index()
    if both.empty:
        return None
    return share_of_cases(
        f"layer itself on top, {name}", both.assign(top=both["own"] >= both["other"]), "top"
    )


def _outcome(order: dict[str, tuple[Effect, Effect | None]]) -> Outcome | None:
    falls, top = order[DIRECT]
    others = [each for name, each in order.items() if name != DIRECT and isfinite(each[0].value)]
    if not others:
        return None
    tops = [each.value for _, each in others if each is not None]
    holds = [
        all(_is_below(falls, other) for other, _ in others),
        top is not None and bool(tops) and all(top.value >= value for value in tops),
    ]
    return "as claimed" if all(holds) else "partly" if any(holds) else "not as claimed"


def _is_below(first: Effect, second: Effect) -> bool:
    """Return whether the interval of one number lies below that of another."""
    return first.high is not None and second.low is not None and first.high < second.low


DM_OR_NOT = Study(
    name="dm-or-not",
    title="Direct matching, or training",
    question="Is direct matching the way to measure similarity, or does training for features do as well?",
    needs=(
        Need(
            "the same pairs by direct matching and by trainings of one budget: for labels, from the least-squares map, "
            "for penultimate features, for FuLA",
            finding="dm-or-not",
        ),
    ),
    analysis=lambda evidence: dm_or_not(evidence.claims_of_all_objectives),
)
