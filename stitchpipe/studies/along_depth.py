"""Study **depth**: how measures of single layers, such as their dimension, go with the depth of a network."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stitchpipe.registry import find_measure
from stitchpipe.studies.effect import Effect, jackknifed
from stitchpipe.studies.finding import OUTCOME_RULE, Finding, fraction, outcome_of, signed
from stitchpipe.studies.rank_correlation import codes, spearman
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stitchpipe.studies.evidence import Evidence

LEAST_LAYERS: Final = 4
"""Of fewer a rank correlation and a peak inside say nothing."""
INTRINSIC: Final = "two_nn"
SURE: Final = 1.96


def along_depth(evidence: Evidence) -> Finding | None:
    """Answer how each measure goes with depth in each network; None where none has numbers of four layers."""
    claims = evidence.claims
    curves = list(_curves(claims))
    effects = [curve.rho for curve in curves if isfinite(curve.rho.value)]
    if not effects:
        return None
    rows = [curve.row for curve in curves]
    peaked = [bool(row["peak inside"]) for row in rows if row["peak inside"] is not None]
    return Finding(
        name="along-depth",
        question="How do measures of single layers go with depth?",
        answer=f"Spearman correlations with depth: {_spans(rows)}. The interval is on one side of 0 in "
        f"{fraction(sum(map(_is_clear, effects)), len(effects))} cases of a measure and a network."
        + (
            f" Intrinsic dimension is largest inside, above both ends by more than its error, in "
            f"{fraction(sum(peaked), len(peaked))}."
            if peaked
            else ""
        ),
        claim="Intrinsic dimension first grows along the layers and then falls (Ansuini et al. 2019)."
        if peaked
        else "",
        outcome=outcome_of(sum(peaked), len(peaked)) if peaked else None,
        criterion=f"Largest inside, above the first and the last layer by {SURE:g} standard errors of the difference: "
        f"{OUTCOME_RULE}."
        if peaked
        else "",
        numbers={f"{row['measure']}, {row['network']}": row["Spearman ρ"] for row in rows},
        table=pd.DataFrame(rows),
        detail=pd.concat([curve.layers for curve in curves], ignore_index=True).drop(columns=["x", "y"]),
        falsifier="A correlation whose interval holds 0: the measure neither rises nor falls along the layers. For the "
        "claim: intrinsic dimension that is largest at the first or the last layer, or within its error there.",
        effects=tuple(effects),
        left_out=claims.left_out,
    )


@dataclass(frozen=True, eq=False)
class _Curve:
    """A measure along one network: its layers, its row of the table, and its rank correlation with depth."""

    layers: pd.DataFrame
    row: dict[str, Any]
    rho: Effect


def _curves(claims: Evidence) -> Iterator[_Curve]:
    """Yield the curves of at least `LEAST_LAYERS` layers."""
    groups = _placed(claims).groupby(["measure", "view", "target_model"], sort=False)
    for (measure, view, model), block in groups:
        if len(block) < LEAST_LAYERS:
            continue
        name = f"{_title(str(measure))} ({view})"
        rho = jackknifed(f"Spearman ρ with depth, {name}, {model}", block, ["x", "y"], spearman)
        row = {"measure": name, "network": model, **_shape(block), **_limits(rho)}
        row["peak inside"] = _peaks_inside(block) if measure == INTRINSIC else None
        yield _Curve(block, row, rho)


def _spans(rows: Sequence[dict[str, Any]]) -> str:
    """Return between what the correlations of each measure lie."""
    judged: dict[str, list[float]] = {row["measure"]: [] for row in rows}
    for row in rows:
        judged[row["measure"]].append(row["Spearman ρ"])
    return "; ".join(f"{name} {_span(values)}" for name, values in judged.items())


def _is_clear(effect: Effect) -> bool:
    """Return whether an interval is on one side of 0."""
    return effect.low is not None and effect.high is not None and effect.low * effect.high > 0


def _placed(evidence: Evidence) -> pd.DataFrame:
    """Return the numbers of layers with their places: ``x`` of depth and ``y`` of the value, whole numbers in order."""
    place = {
        (model, layer): number
        for model, layers in evidence.facts.layer_order.items()
        for number, layer in enumerate(layers)
    }
    known = evidence.layers.dropna(subset=["value"])
    ends = zip(known["model"], known["layer"], strict=True)
    at = np.array([place.get(end, -1) for end in ends], np.int64)
    there = known[at >= 0]
    placed = there.assign(x=at[at >= 0], y=codes(there["value"].to_numpy(float)))
    named = placed.rename(columns={"model": "target_model", "layer": "target_layer"})
    return named.sort_values(["measure", "view", "target_model", "x"], kind="stable")


def _shape(block: pd.DataFrame) -> dict[str, Any]:
    """Return what a curve over the layers looks like: its ends, and where it is largest."""
    largest = block.iloc[int(block["value"].to_numpy().argmax())]
    return {
        "layers": len(block),
        "first": float(block["value"].iloc[0]),
        "last": float(block["value"].iloc[-1]),
        "largest": float(largest["value"]),
        "at": largest["target_layer"],
    }


def _limits(rho: Effect) -> dict[str, Any]:
    return {"Spearman ρ": rho.value, "low": rho.low, "high": rho.high}


def _peaks_inside(block: pd.DataFrame) -> bool:
    """Return whether the largest value lies above both ends by more than its error, which is value/√n (Facco 2017)."""
    values = block["value"].to_numpy(float)
    peak = float(values.max())
    relative = 1.0 / sqrt(float(block["n_samples"].iloc[0]))
    return all(peak - end > SURE * relative * sqrt(peak**2 + end**2) for end in (values[0], values[-1]))


def _span(values: list[float]) -> str:
    known = [value for value in values if isfinite(value)]
    if not known:
        return "none"
    low, high = signed(min(known)), signed(max(known))
    return low if low == high else f"{low} to {high}"


def _title(name: str) -> str:
    measure = find_measure(name)
    return name if measure is None else measure.title


DEPTH = Study(
    name="depth",
    title="Along depth",
    question="How do the dimension of layers, their spectrum and what a probe tells go with depth?",
    needs=(
        Need(
            f"measures of single layers, of at least {LEAST_LAYERS} layers of a trained network",
            finding="along-depth",
        ),
    ),
    analysis=lambda evidence: [along_depth(evidence)],
)
