"""Study **distance**: similarity against the number of layers between, early → late and late → early apart."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stitchpipe.studies.effect import Effect, jackknifed, jackknifed_over, mean_of_units, share_of_targets
from stitchpipe.studies.equal_budget import STATED, beside, existence
from stitchpipe.studies.finding import SOURCE, Finding, Outcome, fraction, signed
from stitchpipe.studies.indices import title_of
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.rank_correlation import codes, spearman
from stitchpipe.studies.stitches import PAIR
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.pairs import Pairs

SHARED, TRAINED = "DM, the pairs that TLM was trained on", "TLM, the same pairs"
EARLY_TO_LATE, LATE_TO_EARLY = "early → late", "late → early"


def late_to_early(evidence: Evidence) -> Finding | None:
    """Answer what TLM and DM make of late → early stitches; None without pairs that have both."""
    both = beside(evidence.stitched)
    late = both[both["kind"] == LATE_TO_EARLY]
    if late.empty:
        return None
    tlm, dm = late["TLM"], late["DM"]
    above = int((tlm > dm).sum())
    judged = late.assign(above=tlm > dm, gain=tlm - dm)
    return Finding(
        name="late-to-early",
        question="Does a late layer stitch into an early place?",
        answer=f"With task loss matching, relative accuracy is {tlm.median():.3f} in the median "
        f"({tlm.min():.3f} to {tlm.max():.3f}); with direct matching on the same pairs {dm.median():.3f} "
        f"({dm.min():.3f} to {dm.max():.3f}). Task loss matching is higher in {fraction(above, len(late))} stitches.",
        claim="Task loss matching gives high similarity between distant layers of different function "
        f"({SOURCE}), especially when the sender is later than the receiver (Hernandez et al. 2023).",
        outcome=existence(above, len(late)),
        criterion="Task loss matching above direct matching: as claimed if in at least half of the stitches, "
        "partly if in any.",
        numbers={
            "late → early stitches": len(late),
            "TLM above DM": above,
            "TLM relative accuracy, median": float(tlm.median()),
            "DM relative accuracy, median": float(dm.median()),
        },
        table=pd.DataFrame(
            [
                {
                    "relative accuracy": method,
                    "lowest": accuracies.min(),
                    "median": accuracies.median(),
                    "highest": accuracies.max(),
                }
                for method, accuracies in (("TLM", tlm), ("DM", dm))
            ]
        ),
        detail=late[["source", "target", *STATED, "final_loss", "TLM", "DM"]],
        falsifier="Task loss matching no higher than direct matching of the same late → early pairs: a mean gain whose "
        "interval holds 0, or lies below it.",
        effects=(
            mean_of_units("relative accuracy of TLM above DM, mean", judged, "gain"),
            share_of_targets(
                "share of target layers with TLM above DM for some late source", judged, "above"
            ),
        ),
        left_out=evidence.left_out,
    )


def depth(evidence: Evidence) -> Finding | None:
    """Answer whether stitched accuracy falls with distance in depth, for DM and, on its pairs, for TLM."""
    known = evidence.stitched.dropna(subset=[RELATIVE])
    direct, trained = (known[known["method"] == method] for method in ("dm", "tlm"))
    # Direct matching may cover more pairs than were trained, so the two are compared on the pairs that both have.
    shared = direct.merge(trained[PAIR].drop_duplicates(), on=PAIR)
    blocks = {
        f"DM, {s} into {t}": block for (s, t), block in direct.groupby(["source_model", "target_model"])
    }
    effects = {name: of_distance(name, block) for name, block in blocks.items()}
    if not any(isfinite(effect.value) for effect in effects.values()):
        return None
    blocks |= {SHARED: shared, TRAINED: trained}
    effects |= {name: of_distance(name, blocks[name]) for name in (SHARED, TRAINED)}
    effects = {name: effect for name, effect in effects.items() if isfinite(effect.value)}
    rhos = {name: effect.value for name, effect in effects.items()}
    said = "; ".join(f"{name} {signed(rho)}" for name, rho in rhos.items())
    return Finding(
        name="depth",
        question="Does stitched accuracy fall with the distance in depth?",
        answer=f"Spearman correlation of relative accuracy with the number of layers between: {said}.",
        claim=f"Task loss matching gives high similarity between distant layers ({SOURCE}).",
        outcome=_flatter(rhos.get(SHARED), rhos.get(TRAINED)),
        criterion="Accuracy falls less with distance under task loss matching than under direct matching of the same "
        "pairs.",
        numbers={f"Spearman ρ, {name}": rho for name, rho in rhos.items()},
        table=pd.DataFrame(
            [
                {
                    "stitches": name,
                    "how many": len(blocks[name]),
                    "Spearman ρ": rho,
                    "low": effects[name].low,
                    "high": effects[name].high,
                }
                for name, rho in rhos.items()
            ]
        ),
        detail=_distances(known),
        falsifier="A correlation of task loss matching that is as negative as that of direct matching on the same "
        "pairs, or more so.",
        effects=tuple(effects.values()),
        left_out=evidence.left_out,
    )


def similarity(evidence: Evidence) -> Finding | None:
    """Answer whether every index falls with the layers between, in both directions; None without any."""
    rows, effects, cases = [], [], []
    for (index, view), pairs in evidence.pairs.items():
        placed = pairs.at((pairs.within | pairs.across) & (pairs.source != pairs.target))
        name = title_of(index)
        row: dict[str, object] = {"index": name, "view": view}
        for which, part in _parts(placed).items():
            rho = falls_with_layers(f"Spearman ρ by {name} ({view}), {which}", part)
            if isfinite(rho.value):
                effects.append(rho)
                row |= {which: rho.value, f"{which}, low": rho.low, f"{which}, high": rho.high}
        if len(row) > 2:
            rows.append(row)
            cases.append(_by_distance(placed).assign(index=name, view=view))
    if not rows:
        return None
    signs = [float(effect.value) for effect in effects]
    falling = [effect for effect in effects if effect.high is not None and effect.high < 0]
    return Finding(
        name="similarity-distance",
        question="Does similarity fall with the number of layers between, alike in both directions?",
        answer=f"Spearman correlations of likeness with the layers between lie from {signed(min(signs))} to "
        f"{signed(max(signs))}; for {fraction(len(falling), len(effects))} of them the interval lies below 0.",
        claim="",
        outcome=None,
        criterion="",
        numbers={effect.what: effect.value for effect in effects},
        table=pd.DataFrame(rows),
        detail=pd.concat(cases, ignore_index=True),
        falsifier="An interval that holds 0: likeness does not fall with distance by that index. A layer with itself "
        "is not counted, because every index has its best value there.",
        effects=tuple(effects),
        left_out=evidence.left_out,
    )


def _parts(placed: Pairs) -> dict[str, Pairs]:
    """Return pairs by direction; a pair of layers at one depth of two networks belongs to both."""
    return {
        EARLY_TO_LATE: placed.at(placed.later_by <= 0),
        LATE_TO_EARLY: placed.at(placed.later_by >= 0),
    }


def falls_with_layers(what: str, pairs: Pairs) -> Effect:
    """Return the rank correlation of likeness with the layers between."""
    units, unit = pairs.units()
    ranked = [np.abs(pairs.later_by), codes(pairs.likeness)]
    return jackknifed_over(what, ranked, units, spearman, unit)


def of_distance(what: str, block: pd.DataFrame) -> Effect:
    """Return the rank correlation of the accuracy of stitches with the layers between."""
    ranked = block.assign(
        far=(block["source_depth"] - block["target_depth"]).abs(),
        likeness=codes(block[RELATIVE].to_numpy(float)),
    )
    return jackknifed(what, ranked, ["far", "likeness"], spearman)


def _flatter(direct: float | None, trained: float | None) -> Outcome | None:
    """Return whether TLM falls less with distance than DM; None where one of them is unknown."""
    if direct is None or trained is None:
        return None
    return "as claimed" if trained > direct else "not as claimed"


def _distances(known: pd.DataFrame) -> pd.DataFrame:
    """Return mean relative accuracy by the number of layers between, for each method and pair of models."""
    between = (known["source_depth"] - known["target_depth"]).abs()
    rows = known.assign(method=known["method"].str.upper(), **{"layers between": between})
    keys = ["method", "source_model", "target_model", "layers between"]
    table = rows.groupby(keys)[RELATIVE].agg(["count", "mean", "min", "max"])
    return table.reset_index()


def _by_distance(placed: Pairs) -> pd.DataFrame:
    """Return an index by the number of layers that the source is later, negative where it is earlier."""
    rows = pd.DataFrame({"source later by": placed.later_by.astype(float), "value": placed.value})
    return rows.groupby("source later by")["value"].agg(["count", "mean", "min", "max"]).reset_index()


def analysis(evidence: Evidence) -> list[Finding | None]:
    """Return all answers, of networks that learned something."""
    claims = evidence.claims
    return [late_to_early(claims), depth(claims), similarity(claims)]


DISTANCE = Study(
    name="distance",
    title="Distance in depth",
    question="Does similarity fall with the number of layers between, early → late and late → early?",
    needs=(
        Need("an index over all pairs of layers of a trained network", finding="similarity-distance"),
        Need("direct matching over several distances", finding="depth"),
        Need(
            "late → early pairs that are stitched by direct matching and by task loss",
            finding="late-to-early",
        ),
    ),
    analysis=analysis,
)
