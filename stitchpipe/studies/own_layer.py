"""Study **self**: whether a layer is the most similar one to itself, by task loss and by direct matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.studies.direct_standings import listed_standings, standings, table_of
from stitchpipe.studies.effect import mean_of_units, share_of_cases
from stitchpipe.studies.equal_budget import violations
from stitchpipe.studies.finding import OUTCOME_RULE, SOURCE, Finding, fraction, outcome_of
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    import pandas as pd

    from stitchpipe.studies.evidence import Evidence


def task_loss(evidence: Evidence) -> Finding | None:
    """Answer how often TLM rates another layer at or above the layer itself; None without such pairs."""
    return violations(
        _within(evidence),
        evidence,
        name="tlm-own-layer",
        question="Does task loss matching rank another layer of the same network at or above the layer itself?",
        reference="the layer itself",
        claim="Within one network task loss matching often rates another layer as more similar to a layer "
        f"than itself ({SOURCE}).",
    )


def direct(evidence: Evidence) -> Finding | None:
    """Answer whether a layer is its own best source under direct matching; None without such results."""
    rows = standings(evidence, lambda pairs: pairs.within)
    if not rows:
        return None
    (label, _), first = next(iter(rows.items()))
    top = first.best + first.tied
    cases = first.cases.assign(holds=first.cases["standing"] != "beaten")
    return Finding(
        name="dm-own-layer",
        question="Under direct matching, is a layer its own best source?",
        answer=f"By {label}, no other layer is above the layer itself for {fraction(top, first.targets)} target "
        f"layers ({first.best} strictly best, {first.tied} tied). {listed_standings(rows)}",
        claim=f"Direct matching passes structural and functional tests of similarity ({SOURCE}).",
        outcome=outcome_of(top, first.targets),
        criterion=f"Read here as no other layer above the layer itself, by {label}: {OUTCOME_RULE}.",
        numbers=first.row(),
        table=table_of(rows),
        detail=first.listed,
        falsifier="Another layer above the layer itself for some target. The layer itself is mapped by the identity, "
        "so that only a layer that fits as well as the network does by itself, or better, can be there.",
        effects=(
            share_of_cases("share of target layers with no other layer above", cases, "holds"),
            mean_of_units("lead of the layer itself over the best other", cases, "lead"),
        ),
        left_out=evidence.left_out,
    )


def _within(evidence: Evidence) -> pd.DataFrame:
    stitched = evidence.stitched
    return stitched[stitched["source_model"] == stitched["target_model"]]


def analysis(evidence: Evidence) -> list[Finding | None]:
    """Return both answers, of networks that learned something."""
    claims = evidence.claims
    return [task_loss(claims), direct(claims)]


SELF = Study(
    name="self",
    title="A layer and itself",
    question="Is any layer more similar to a layer than the layer itself?",
    needs=(
        Need(
            "task loss stitches of a trained network into itself at one budget: the layer itself, and others",
            finding="tlm-own-layer",
        ),
        Need("direct matching of a trained network's layers with each other", finding="dm-own-layer"),
    ),
    analysis=analysis,
)
