"""Study **controls**: what every index says where the answer is known, beside what it says of real networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stitchpipe.studies.best_match import SIGNIFICANT
from stitchpipe.studies.effect import Effect, jackknifed, share_of_cases
from stitchpipe.studies.finding import Finding, fraction
from stitchpipe.studies.indices import sign_of, title_under
from stitchpipe.studies.one_shape import one_shape
from stitchpipe.studies.pairs import Pairs
from stitchpipe.studies.rank_correlation import codes
from stitchpipe.studies.separation import auc
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.facts import Facts

REAL = "two trained networks"
RANDOM = "random weights"
NOTHING = 0.5
"""The area of what is not told apart."""
LISTED = 6
"""How many cases an answer lists."""


def controls(evidence: Evidence) -> Finding | None:
    """Answer whether every index tells controls from real pairs; None without both."""
    kinds = pair_kinds(evidence.compared, evidence.facts)
    rows = evidence.compared.assign(kind=kinds).dropna(subset=["kind", "value"])
    table: list[dict[str, Any]] = []
    effects: list[Effect] = []
    for (index, view), block in rows.groupby(["index", "view"], sort=False, observed=True):
        likened = block.assign(likeness=sign_of(str(index)) * block["value"], real=block["kind"] == REAL)
        real = likened[likened["real"]]
        if real.empty:
            continue
        for kind, others in likened[~likened["real"]].groupby("kind", sort=True):
            row, of_pairs = _judged(title_under(str(index), str(view)), str(kind), real, others)
            table.append(row)
            effects += of_pairs
    if not table:
        return None
    frame = pd.DataFrame(table)
    # A control whose pairs all lie in one unit has an area and no interval: it is told apart for all that is known.
    unsure, judged = frame[frame["low"].isna()], frame[frame["low"].notna()]
    blind = judged[judged["low"] <= NOTHING]
    return Finding(
        name="controls",
        question="Where the answer is known, does every index give it?",
        answer=f"Real pairs stand above a control, the interval of the area above ½, in "
        f"{fraction(len(judged) - len(blind), len(judged))} cases of an index and a control."
        + (f" Not so: {_listed(blind)}." if len(blind) else "")
        + (
            f" No interval, because the control's pairs lie in one unit: {_listed(unsure)}."
            if len(unsure)
            else ""
        ),
        claim="",
        outcome=None,
        criterion="",
        numbers={
            "cases": len(frame),
            "without interval": len(unsure),
            "told apart": len(judged) - len(blind),
        },
        table=frame,
        detail=rows[["index", "view", *_ENDS, "kind", "value"]],
        falsifier="For an index as a measure of representations: an area whose interval holds ½, so that codes of "
        "classes, other images or random weights look as alike as two trained networks do; or more than one in "
        "twenty permuted pairs significant.",
        effects=tuple(effects),
    )


def _judged(
    name: str, kind: str, real: pd.DataFrame, others: pd.DataFrame
) -> tuple[dict[str, Any], list[Effect]]:
    """Return how real pairs and those of one control compare by an index: a row, and its effects."""
    both = pd.concat([real, others])
    both = both.assign(likeness=codes(both["likeness"].to_numpy(float)))
    area = jackknifed(
        f"area, {REAL} above {kind}, {name}", both, ["likeness", "real"], auc, bounds=(0.0, 1.0)
    )
    row: dict[str, Any] = {
        "index": name,
        "control": kind,
        "pairs": len(others),
        "real, median": float(real["value"].median()),
        "control, median": float(others["value"].median()),
        "area": area.value,
        "low": area.low,
        "high": area.high,
    }
    alarms = _false_alarms(f"share with p < {SIGNIFICANT:g}, {kind}, {name}", others)
    if alarms is None:
        return row, [area]
    return row | {f"p < {SIGNIFICANT:g}": alarms.value}, [area, alarms]


def _listed(cases: pd.DataFrame) -> str:
    """Return the first cases with their areas, and how many more there are."""
    first = cases.head(LISTED).to_dict("records")
    said = "; ".join(f"{row['index']}, {row['control']} ({row['area']:.2f})" for row in first)
    return said + (f" and {len(cases) - LISTED} more" if len(cases) > LISTED else "")


_ENDS = ("source_model", "source_layer", "target_model", "target_layer")


def pair_kinds(compared: pd.DataFrame, facts: Facts) -> pd.Series:
    """Return what each pair is: real (corresponding layers of two trained networks), of a control, or None."""
    axis, none = facts.axis, np.zeros(len(compared))
    pairs = Pairs(axis, axis.numbers(compared, "source"), axis.numbers(compared, "target"), none, larger=True)
    source, target = pairs.source_model, pairs.target_model
    kinds = np.full(len(compared), None, object)
    number = {model: number for number, model in enumerate(axis.models)}
    networks, untrained = (
        [number[model] for model in facts.are(*kind)] for kind in (("trained", "unknown"), ("untrained",))
    )
    into_network = np.isin(target, networks)
    names = axis.layers(pairs.source).codes, axis.layers(pairs.target).codes
    same = names[0] == names[1]
    corresponds = pairs.across & (pairs.later_by == 0) & into_network
    kinds[corresponds & np.isin(source, networks)] = REAL
    kinds[corresponds & np.isin(source, untrained)] = RANDOM
    for model, (kind, of) in facts.controls.items():
        asked = into_network & (source == number.get(model, -1))
        # Permuted activations are held against the layer that they are of: alike in everything but the images.
        kinds[asked if of is None else asked & same & (target == number.get(of, -1))] = kind
    return pd.Series(kinds, compared.index, dtype=object)


def _false_alarms(what: str, pairs: pd.DataFrame) -> Effect | None:
    """Return how many pairs of a control are significant; None where no p-values are known."""
    if "p_value" not in pairs or not pairs["p_value"].notna().any():
        return None
    known = pairs.dropna(subset=["p_value"])
    return share_of_cases(
        what, known.assign(alarm=(known["p_value"] < SIGNIFICANT).astype(np.int64)), "alarm"
    )


CONTROLS = Study(
    name="controls",
    title="Controls",
    question="What does each index say where the answer is known: random codes, permuted images, random weights, "
    "layers of one width and size?",
    needs=(
        Need(
            "two trained networks with the same layers, beside a control or a network with random weights",
            finding="controls",
            toml='[[models]]\nname = "shuffled"\ncontrol = { kind = "permuted", of = "A" }    # of the sweep\n\n'
            '[[models]]\nname = "codes"\ncontrol = { kind = "random_codes" }',
        ),
        Need(
            "three layers of one shape in a trained network, under indices over all pairs of layers",
            finding="one-shape",
            toml='[[models]]\nname = "constant"\narchitecture = "cifar_resnet"\n'
            "options = { blocks = [6], widths = [32] }    # one stage: of one width and size\ntrain = { seed = 0 }",
        ),
    ),
    analysis=lambda evidence: [controls(evidence), one_shape(evidence)],
)
