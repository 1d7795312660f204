"""Training that begins where nothing is left to learn: how far out of distribution it drifts, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from stitchpipe.studies.effect import mean_of_units
from stitchpipe.studies.equal_budget import STATED, with_ends
from stitchpipe.studies.finding import Finding, fraction, signed
from stitchpipe.studies.measures import RELATIVE, distances
from stitchpipe.studies.stitches import measures_of

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence


def from_identity(evidence: Evidence) -> pd.DataFrame:
    """Return the trainings of a layer into itself that begin at the identity."""
    stitched = evidence.stitched
    own = (stitched["kind"] == "self") & (stitched["method"] == "tlm") & (stitched["init"] == "identity")
    return stitched[own & stitched[RELATIVE].notna()]


def drift(evidence: Evidence) -> Finding | None:
    """Answer whether such trainings leave the target's distribution; None without any that was measured."""
    block = from_identity(evidence)
    named = distances(measures_of(evidence.stitched))
    measured = {name: title for name, title in named.items() if len(block) and block[name].notna().any()}
    if not measured:
        return None
    rows = with_ends(block).assign(gain=block[RELATIVE] - 1.0)
    direct = evidence.stitched
    direct = direct[(direct["kind"] == "self") & (direct["method"] == "dm")]
    table = [_distances_of(title, rows[name], direct[name]) for name, title in measured.items()]
    first, gain = table[0], rows["gain"]
    away = int((rows[next(iter(measured))] > 0).sum()), first["layers"]
    return Finding(
        name="identity-drift",
        question="Does task loss matching that begins at the identity leave the target's distribution?",
        answer=f"Relative accuracy changes by {signed(gain.median(), 3)} in the median ({signed(gain.min(), 3)} to "
        f"{signed(gain.max(), 3)}) over {len(rows)} trainings, while the distance by {first['distance']} goes from 0 "
        f"to {first['median']:.3g} in the median; it is above 0 for {fraction(*away)}.",
        claim="",
        outcome=None,
        criterion="",
        numbers={
            "trainings from the identity": len(rows),
            "change of relative accuracy, median": float(gain.median()),
            **{f"{row['distance']}, median": float(row["median"]) for row in table},
        },
        table=pd.DataFrame(table),
        detail=rows[["source", "target", *STATED, RELATIVE, "gain", *measured]].rename(columns=measured),
        falsifier="Distances that stay at 0, where the identity puts them, or a gain of accuracy as large as the "
        "drift: what is gained for leaving the distribution stands beside it.",
        effects=(
            mean_of_units("change of relative accuracy, mean", rows, "gain"),
            *(
                mean_of_units(f"distance by {title}, mean", rows.dropna(subset=[name]), name)
                for name, title in measured.items()
            ),
        ),
        left_out=evidence.left_out,
    )


def _distances_of(title: str, drifted: pd.Series, direct: pd.Series) -> dict[str, Any]:
    """Return what trainings from the identity have of a distance, beside direct matching, as a row of the table."""
    known, still = drifted.dropna(), direct.dropna()
    return {
        "distance": title,
        "layers": len(known),
        "lowest": known.min(),
        "median": known.median(),
        "highest": known.max(),
        "direct matching, median": still.median() if len(still) else None,
    }
