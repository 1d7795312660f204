"""The trained detector of the literature beside its own sanity check: what passes it, and is wrong all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.ood import OF_THE_DETECTOR
from stitchpipe.ood.scores.detector import SANITY_PASS
from stitchpipe.studies.effect import mean_of_units, share_of_targets
from stitchpipe.studies.equal_budget import STATED, with_ends
from stitchpipe.studies.finding import Finding, fraction
from stitchpipe.studies.measures import DETECTOR, RELATIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.studies.effect import Effect
    from stitchpipe.studies.evidence import Evidence

SANITY = list(OF_THE_DETECTOR)[-1]


def detector(evidence: Evidence) -> Finding | None:
    """Answer whether the detector tells stitched representations from native ones; None without a detector."""
    stitched = evidence.stitched
    if DETECTOR not in stitched or SANITY not in stitched:
        return None
    known = with_ends(stitched.dropna(subset=[DETECTOR, SANITY]))
    if known.empty:
        return None
    passed = known[known[SANITY] >= SANITY_PASS]
    failed = known[known[SANITY] < SANITY_PASS].groupby(["target_model", "target_layer"]).ngroups
    targets = known.groupby(["target_model", "target_layer"]).ngroups
    warned = int(passed[f"{DETECTOR}_warned"].sum()) if f"{DETECTOR}_warned" in passed else 0
    judged = passed.assign(wrong=passed.get(f"{DETECTOR}_warned", 0.0) == 1)
    said = f"its sanity check failed for {fraction(failed, targets)} target layers, which are left out"
    return Finding(
        name="detector",
        question="Does the trained detector tell stitched representations from native ones, where its sanity check "
        "passes?",
        answer=f"The check passes for {fraction(targets - failed, targets)} target layers. There, in "
        f"{fraction(warned, len(passed))} stitches the detector takes stitched representations for more native than "
        "native ones: read one-sided, it would call them in-distribution.",
        claim="",
        outcome=None,
        criterion="",
        numbers={
            "target layers with a detector": targets,
            "sanity check failed": failed,
            "stitches judged": len(passed),
            "one-sided wrong": warned,
        },
        table=pd.DataFrame([_scores(str(method), block) for method, block in judged.groupby("method")]),
        detail=known[["source", "target", "method", *STATED, RELATIVE, DETECTOR, SANITY]],
        falsifier="For the detector as a judge: any stitch that is one-sided wrong although the check passes.",
        effects=tuple(_effects(judged)),
        left_out=(*evidence.left_out, *((said,) if failed else ())),
    )


def _scores(method: str, block: pd.DataFrame) -> dict[str, Any]:
    """Return what the detector says of the stitches of one method, as a row of the table."""
    return {
        "stitches": method.upper(),
        "how many": len(block),
        "lowest": block[DETECTOR].min(),
        "median": block[DETECTOR].median(),
        "highest": block[DETECTOR].max(),
        "one-sided wrong": int(block["wrong"].sum()),
    }


def _effects(judged: pd.DataFrame) -> Iterator[Effect]:
    """Yield how far apart it finds the stitches of each method, and for how many targets it is one-sided wrong."""
    for method, block in judged.groupby("method"):
        yield mean_of_units(f"|2·AUROC − 1| of {str(method).upper()} stitches, mean", block, DETECTOR)
    if len(judged):
        yield share_of_targets("share of target layers with a one-sided wrong answer", judged, "wrong")
