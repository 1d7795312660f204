"""Study **ood**: whether stitched representations stay in the target's distribution, beside their accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from stitchpipe.studies.drift import drift
from stitchpipe.studies.effect import share_of_targets
from stitchpipe.studies.finding import SOURCE, Finding, Outcome, fraction
from stitchpipe.studies.judged_detector import detector
from stitchpipe.studies.measures import RELATIVE, distances
from stitchpipe.studies.stitches import PAIR, measures_of
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence

KINDS = ("self", "corresponding", "late → early", "other")


def out_of_distribution(evidence: Evidence) -> Finding | None:
    """Answer whether TLM leaves the target's distribution further than DM; None without pairs of both."""
    stitched = evidence.stitched
    named = distances(measures_of(stitched))
    measured = [name for name in named if stitched[name].notna().any()]
    both = _beside(stitched, [*named, RELATIVE])
    if both.empty or not measured:
        return None
    further = {name: _further(both, name) for name in measured}
    further = {name: counts for name, counts in further.items() if counts[1]}
    if not further:
        return None
    said = "; ".join(
        f"{named[name]} in {fraction(*counts)} ({both[f'{name}_tlm'].median():.3g} against "
        f"{both[f'{name}_dm'].median():.3g})"
        for name, counts in further.items()
    )
    return Finding(
        name="out-of-distribution",
        question="Does task loss matching take representations further out of the target's distribution "
        "than direct matching?",
        answer=f"On the same {len(both)} stitches, task loss matching is further from the native rows than direct "
        f"matching by {said}; in brackets the medians.{_warning(stitched)}",
        claim="Task loss matching creates out-of-distribution representations to gain accuracy; direct matching "
        f"does not where matching is possible ({SOURCE}).",
        outcome=_outcome(further),
        criterion="TLM further from the native rows than DM in at least half of the stitches: as claimed if by "
        "every statistic, partly if by some.",
        numbers={
            "stitches with both": len(both),
            **{f"{named[name]}: TLM further": counts[0] for name, counts in further.items()},
        },
        table=_by_kind(both, {name: named[name] for name in further}),
        detail=both,
        falsifier="Task loss matching no further from the native rows than direct matching of the same pairs, in "
        "more than half of them, by every statistic.",
        effects=tuple(
            share_of_targets(
                f"share of target layers with TLM further for some source, by {named[name]}",
                _known(both, name).assign(
                    further=_known(both, name)[f"{name}_tlm"] > _known(both, name)[f"{name}_dm"]
                ),
                "further",
            )
            for name in further
        ),
        left_out=evidence.left_out,
    )


def _warning(stitched: pd.DataFrame) -> str:
    """Return a sentence on detectors that pass their sanity check and are wrong all the same, where there are any."""
    if "ood_detector_warned" not in stitched:
        return ""
    known = stitched["ood_detector_warned"].dropna()
    if not known.any():
        return ""
    share = fraction(int(known.sum()), len(known))
    return (
        f" Warning: in {share} the trained detector passed its sanity check and yet takes stitched "
        "representations for more native than native ones; one-sided, it would call them in-distribution."
    )


def _beside(stitched: pd.DataFrame, measures: list[str]) -> pd.DataFrame:
    trained, direct = (stitched[stitched["method"] == method] for method in ("tlm", "dm"))
    return trained[[*PAIR, "kind", *measures]].merge(
        direct[[*PAIR, *measures]], on=PAIR, suffixes=("_tlm", "_dm")
    )


def _known(both: pd.DataFrame, name: str) -> pd.DataFrame:
    return both.dropna(subset=[f"{name}_tlm", f"{name}_dm"])


def _further(both: pd.DataFrame, name: str) -> tuple[int, int]:
    """Return in how many stitches TLM is further away than DM, and how many have both numbers."""
    known = _known(both, name)
    return int((known[f"{name}_tlm"] > known[f"{name}_dm"]).sum()), len(known)


def _outcome(further: dict[str, tuple[int, int]]) -> Outcome:
    holds = [2 * more >= cases for more, cases in further.values()]
    if all(holds):
        return "as claimed"
    return "partly" if any(holds) else "not as claimed"


def _by_kind(both: pd.DataFrame, named: dict[str, str]) -> pd.DataFrame:
    """Return medians by the kind of pair: one row for TLM, one for DM."""
    rows = []
    for kind in KINDS:
        block = both[both["kind"] == kind]
        for method in ("tlm", "dm") if len(block) else ():
            columns = {title: float(block[f"{name}_{method}"].median()) for name, title in named.items()}
            accuracy = float(block[f"{RELATIVE}_{method}"].median())
            rows.append(
                {
                    "pairs": kind,
                    "method": method.upper(),
                    "stitches": len(block),
                    "relative accuracy": accuracy,
                    **columns,
                }
            )
    return pd.DataFrame(rows)


def analysis(evidence: Evidence) -> list[Finding | None]:
    """Return all answers, of networks that learned something."""
    claims = evidence.claims
    return [out_of_distribution(claims), drift(claims), detector(claims)]


OOD = Study(
    name="ood",
    title="Out of distribution",
    question="Do stitched representations stay in the distribution of the target's own?",
    needs=(
        Need("pairs that are stitched by direct matching and by task loss", finding="out-of-distribution"),
        Need(
            "a layer into itself by task loss from the identity, beside its direct matching",
            finding="identity-drift",
        ),
        Need("the trained detector, with its sanity check", finding="detector", toml="[ood.detector]"),
    ),
    analysis=analysis,
)
