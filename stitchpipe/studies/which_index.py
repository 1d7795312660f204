"""Study **which-index**: which index tells layers and families of networks apart, and agrees with what stitches do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stitchpipe.studies.direct_standings import sign_of, title_under
from stitchpipe.studies.effect import Effect, jackknifed, jackknifed_over
from stitchpipe.studies.finding import Finding
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.rank_correlation import codes, spearman
from stitchpipe.studies.separation import auc, d_prime
from stitchpipe.studies.stitches import PAIR, by_models, comparable
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence

TESTS = ("specificity", "families", "behaviour")
LACKING = (
    "sensitivity to low-rank deletions (Ding 2021), which needs representations of lower rank and their probe "
    "accuracies: no run has these numbers"
)


def which_index(evidence: Evidence) -> Finding | None:
    """Answer which index does best where something is known; None without anything to test by."""
    rows: dict[str, dict[str, Effect]] = {}
    primes: dict[str, float | None] = {}
    claims = evidence.of_claims()
    for (index, view), block in claims.compared.groupby(["index", "view"], sort=False, observed=True):
        name = title_under(str(index), str(view))
        known = block.dropna(subset=["value"])
        known = known.assign(likeness=sign_of(str(index)) * known["value"])
        tested = {
            "specificity": _specificity(name, known, claims),
            "families": _families(name, known, claims),
            "behaviour": _behaviour(name, known, claims),
        }
        there = {
            test: effect
            for test, effect in tested.items()
            if effect is not None and np.isfinite(effect.value)
        }
        if there:
            rows[name] = there
            primes[name] = _prime(known, claims)
    if not rows:
        return None
    frame = _ranked(rows, primes)
    missing = [test for test in TESTS if not any(test in tested for tested in rows.values())]
    best = frame.iloc[0]
    return Finding(
        name="which-index",
        question="Which index does best where something is known?",
        answer=f"{best['index']} has the best mean rank, {best['mean rank']:.1f} of {len(frame)}, over "
        f"{', '.join(test for test in TESTS if test not in missing)}."
        + (" The intervals of the first two overlap in every test." if _overlap(frame) else ""),
        claim="",
        outcome=None,
        criterion="",
        numbers={row["index"]: row["mean rank"] for row in frame.to_dict("records")},
        table=frame,
        detail=pd.DataFrame(
            [
                {"index": name, "test": test, **effect.record()}
                for name, tested in rows.items()
                for test, effect in tested.items()
            ]
        ),
        falsifier="Intervals that overlap: the order of two indices is then not told. Areas whose interval holds ½, "
        "and correlations whose interval holds 0, say that an index does not pass the test at all.",
        effects=tuple(effect for tested in rows.values() for effect in tested.values()),
        left_out=(
            *claims.left_out,
            LACKING,
            *(f"{test}: the run has nothing to test by" for test in missing),
        ),
    )


def _specificity(name: str, known: pd.DataFrame, evidence: Evidence) -> Effect | None:
    """Return how often a layer is nearer to itself in another seed than other layers are (Ding 2021)."""
    families = evidence.facts.families
    order = evidence.facts.layer_order
    seeds = known[
        by_models(known, lambda s, t: comparable(order, s, t) and families.get(s, s) == families.get(t, t))
    ]
    if seeds.empty:
        return None
    same = seeds["source_layer"].astype(str) == seeds["target_layer"].astype(str)
    coded = seeds.assign(same=same.to_numpy(), likeness=codes(seeds["likeness"].to_numpy()))
    what = f"area, same layer of another seed above other layers, {name}"
    return jackknifed(what, coded, ["likeness", "same"], auc, bounds=(0.0, 1.0))


def _prime(known: pd.DataFrame, evidence: Evidence) -> float | None:
    """Return d′ of the same layers of two networks against other layers."""
    order = evidence.facts.layer_order
    across = known[by_models(known, lambda s, t: comparable(order, s, t))]
    same = (across["source_layer"].astype(str) == across["target_layer"].astype(str)).to_numpy()
    return d_prime(across["likeness"].to_numpy(float), same)


def _families(name: str, known: pd.DataFrame, evidence: Evidence) -> Effect | None:
    """Return how often two networks of one family are more alike than two of different ones; None without both."""
    families = evidence.facts.families
    across = known[by_models(known, lambda s, t: s != t and s in families and t in families)]
    if across.empty:
        return None
    keys = ["source_model", "target_model", "source_layer"]
    best = across.groupby(keys, observed=True)["likeness"].max().reset_index()
    networks = best.groupby(keys[:2], observed=True)["likeness"].mean().reset_index()
    one = by_models(networks, lambda s, t: families[s] == families[t])
    if one.all() or not one.any():
        return None
    units = networks.groupby("target_model", sort=False, observed=True).ngroup().to_numpy()
    what = f"area, networks of one family above others, {name}"
    return jackknifed_over(
        what, [codes(networks["likeness"].to_numpy()), one], units, auc, "target networks", (0.0, 1.0)
    )


def _behaviour(name: str, known: pd.DataFrame, evidence: Evidence) -> Effect | None:
    """Return the rank correlation with the accuracy of direct matching over pairs of different layers."""
    stitched = evidence.stitched
    direct = stitched[(stitched["method"] == "dm") & stitched[RELATIVE].notna()][[*PAIR, RELATIVE]]
    both = known.astype(dict.fromkeys(PAIR, str)).merge(direct.astype(dict.fromkeys(PAIR, str)), on=PAIR)
    is_itself = (both["source_model"] == both["target_model"]) & (
        both["source_layer"] == both["target_layer"]
    )
    both = both[~is_itself]
    if len(both) < 3:
        return None
    coded = both.assign(x=codes(both["likeness"].to_numpy()), y=codes(both[RELATIVE].to_numpy(float)))
    return jackknifed(f"Spearman ρ with stitched accuracy, {name}", coded, ["x", "y"], spearman)


def _ranked(rows: dict[str, dict[str, Effect]], primes: dict[str, float | None]) -> pd.DataFrame:
    """Return one row per index, the best mean rank first: over the tests that every index has."""
    table = []
    for name, tested in rows.items():
        row: dict[str, Any] = {"index": name, "mean rank": 0.0}
        for test in TESTS:
            if test in tested:
                effect = tested[test]
                row |= {test: effect.value, f"{test}, low": effect.low, f"{test}, high": effect.high}
        table.append(row | {"d′ of layers": primes[name]})
    frame = pd.DataFrame(table)
    common = [test for test in TESTS if test in frame and frame[test].notna().all()] or [
        test for test in TESTS if test in frame
    ]
    frame["mean rank"] = frame[common].rank(ascending=False).mean(axis=1)
    return frame.sort_values("mean rank", kind="stable").reset_index(drop=True)


def _overlap(frame: pd.DataFrame) -> bool:
    """Return whether the intervals of the first two indices overlap in every test that both have."""
    if len(frame) < 2:
        return False
    first, second = frame.iloc[0], frame.iloc[1]
    limits = [(test, f"{test}, low") for test in TESTS if f"{test}, low" in frame]
    tests = [test for test, low in limits if pd.notna(first[low]) and pd.notna(second[low])]
    return bool(tests) and all(
        first[f"{test}, low"] <= second[f"{test}, high"] and second[f"{test}, low"] <= first[f"{test}, high"]
        for test in tests
    )


WHICH_INDEX = Study(
    name="which-index",
    title="Which index",
    question="Which index tells layers and families of networks apart, and agrees with what stitches do?",
    needs=(
        Need(
            "two seeds of one network, or direct matching, beside indices over all pairs of layers",
            finding="which-index",
            toml='[[models]]\nname = "second"\narchitecture = "resnet18"    # that of the first\ntrain = { seed = 1 }',
        ),
    ),
    analysis=lambda evidence: [which_index(evidence)],
)
