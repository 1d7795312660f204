"""Study **which-index**: which index tells layers and families of networks apart, and agrees with what stitches do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stitchpipe.studies.effect import Effect, jackknifed_over
from stitchpipe.studies.finding import Finding
from stitchpipe.studies.indices import title_under
from stitchpipe.studies.pairs import Pairs, of_stitches
from stitchpipe.studies.rank_correlation import codes, spearman
from stitchpipe.studies.sensitivity import immovable, sensitivity
from stitchpipe.studies.separation import auc, d_prime
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.facts import Facts

    Floats = npt.NDArray[np.float64]

TESTS = ("sensitivity", "specificity", "families", "behaviour", "probes")
PROBE = "linear_probe"
WITHOUT = {
    "sensitivity": "sensitivity: no layers are held against their own first principal components (low-rank deletions, "
    "Ding 2021) under the view of an index; where images have labels, `deletions = true` in [[compare]], or in the "
    "study's table, adds them",
    "probes": "probes: no layers have a linear probe under the view of an index; where images have labels, "
    f'`layer_measures = ["{PROBE}"]` beside `indices` in [[compare]] adds them',
}
KENDALL, PRIME = "sensitivity, Kendall τ", "d′ of layers"
"""What stands beside the tests in the table, and is not ranked by."""


def which_index(evidence: Evidence) -> Finding | None:
    """Answer which index does best where something is known; None without anything to test by."""
    claims = evidence.claims
    tested = {name: there for name, there in _tested(claims) if there.effects}
    if not tested:
        return None
    frame = _ranked(tested)
    missing = [test for test in TESTS if not any(test in each.effects for each in tested.values())]
    best = frame.iloc[0]
    effects = {name: each.all_effects for name, each in tested.items()}
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
                for name, of_index in effects.items()
                for test, effect in of_index.items()
            ]
        ),
        falsifier="Intervals that overlap: the order of two indices is then not told. Areas whose interval holds ½, "
        "and correlations whose interval holds 0, say that an index does not pass the test at all.",
        effects=tuple(effect for of_index in effects.values() for effect in of_index.values()),
        left_out=(*claims.left_out, *_unasked(claims, missing)),
    )


@dataclass(frozen=True)
class _Tested:
    """What an index says where something is known: by test, what is ranked by, and what stands beside that."""

    effects: dict[str, Effect]
    kendall: Effect | None
    d_prime: float | None

    @property
    def all_effects(self) -> dict[str, Effect]:
        return self.effects | ({} if self.kendall is None else {KENDALL: self.kendall})


def _tested(claims: Evidence) -> Iterator[tuple[str, _Tested]]:
    """Yield each index under a view with what the tests say of it that it can be asked."""
    direct = _direct(claims)
    for (index, view), pairs in claims.pairs.items():
        name = title_under(index, view)
        sensitive = sensitivity(name, claims.deletions, index, view)
        tests = {
            "sensitivity": sensitive.get("Spearman ρ"),
            "specificity": _specificity(name, pairs, claims.facts),
            "families": _families(name, pairs, claims.facts),
            "behaviour": _behaviour(name, pairs, direct),
            "probes": _probes(name, pairs, _probed(claims, view)),
        }
        there = {
            test: effect for test, effect in tests.items() if effect is not None and np.isfinite(effect.value)
        }
        yield name, _Tested(there, sensitive.get("Kendall τ"), _prime(pairs))


def _unasked(claims: Evidence, missing: Sequence[str]) -> list[str]:
    """Return which tests could not be made, and of which layers."""
    said = [WITHOUT.get(test, f"{test}: the run has nothing to test by") for test in missing]
    if still := immovable(claims.deletions):
        said.append(f"sensitivity of {still} layers whose probe accuracy no deletion changes")
    return said


def _specificity(name: str, pairs: Pairs, facts: Facts) -> Effect | None:
    """Return how often a layer is nearer to itself in another seed than other layers are (Ding 2021)."""
    family = np.array([facts.families.get(model, model) for model in pairs.axis.models], object)
    seeds = pairs.at(pairs.across & (family[pairs.source_model] == family[pairs.target_model]))
    if not len(seeds):
        return None
    units, unit = seeds.units()
    coded = [codes(seeds.likeness), seeds.later_by == 0]
    what = f"area, same layer of another seed above other layers, {name}"
    return jackknifed_over(what, coded, units, auc, unit, (0.0, 1.0))


def _prime(pairs: Pairs) -> float | None:
    """Return d′ of the same layers of two networks against other layers."""
    across = pairs.at(pairs.across)
    return d_prime(across.likeness, across.later_by == 0)


def _families(name: str, pairs: Pairs, facts: Facts) -> Effect | None:
    """Return how often two networks of one family are more alike than two of different ones; None without both."""
    axis, families = pairs.axis, facts.families
    is_known = np.array([model in families for model in axis.models], np.bool_)
    known = pairs.at(~pairs.within & is_known[pairs.source_model] & is_known[pairs.target_model])
    if not len(known):
        return None
    frame = pd.DataFrame(
        {
            "source": known.source_model,
            "target": known.target_model,
            "layer": known.source,
            "likeness": known.likeness,
        }
    )
    best = frame.groupby(["source", "target", "layer"])["likeness"].max().reset_index()
    networks = best.groupby(["source", "target"])["likeness"].mean().reset_index()
    family = np.array([families.get(model, "") for model in axis.models], object)
    one = (family[networks["source"]] == family[networks["target"]]).astype(np.bool_)
    if one.all() or not one.any():
        return None
    units = pd.factorize(networks["target"])[0]
    what = f"area, networks of one family above others, {name}"
    return jackknifed_over(
        what, [codes(networks["likeness"].to_numpy()), one], units, auc, "target networks", (0.0, 1.0)
    )


def _direct(evidence: Evidence) -> Pairs:
    """Return the accuracy of direct matching, of pairs of different layers."""
    stitched = evidence.stitched
    direct = of_stitches(stitched[stitched["method"] == "dm"], evidence.facts.axis)
    return direct.at(direct.source != direct.target)


def _behaviour(name: str, pairs: Pairs, direct: Pairs) -> Effect | None:
    """Return the rank correlation with the accuracy of direct matching over pairs of different layers."""
    place = pd.Index(direct.ends).get_indexer(pd.Index(pairs.ends))
    both, accuracy = pairs.at(place >= 0), direct.value[place[place >= 0]]
    if len(both) < 3:
        return None
    units, unit = both.units()
    coded = [codes(both.likeness), codes(accuracy)]
    return jackknifed_over(f"Spearman ρ with stitched accuracy, {name}", coded, units, spearman, unit)


def _probed(evidence: Evidence, view: str) -> Floats:
    """Return the probe accuracy of every layer by its number on the axis, NaN where it has none under the view."""
    layers = evidence.layers
    is_probe = layers["measure"].map(lambda measure: measure.partition("(")[0]) == PROBE
    known = layers[is_probe & (layers["view"] == view)].drop_duplicates(["model", "layer"])
    by_end = dict(
        zip(zip(known["model"], known["layer"], strict=True), known["value"].astype(float), strict=True)
    )
    return np.array([by_end.get(end, np.nan) for end in evidence.facts.axis.ends], np.float64)


def _probes(name: str, pairs: Pairs, accuracy: Floats) -> Effect | None:
    """Return the rank correlation of likeness with how little probe accuracies differ, over pairs of different layers.

    Ding 2021 asks it of deletions; layers of one network differ in what a probe tells of them, too.
    """
    apart = np.abs(accuracy[pairs.source] - accuracy[pairs.target])
    asked = np.isfinite(apart) & (pairs.source != pairs.target)
    both = pairs.at(asked)
    if len(both) < 3:
        return None
    units, unit = both.units()
    coded = [codes(both.likeness), codes(-apart[asked])]
    return jackknifed_over(f"Spearman ρ with equal probe accuracy, {name}", coded, units, spearman, unit)


def _ranked(tested: dict[str, _Tested]) -> pd.DataFrame:
    """Return one row per index, the best mean rank first: over the tests that every index has."""
    table = []
    for name, of_index in tested.items():
        row: dict[str, Any] = {"index": name, "mean rank": 0.0}
        for test in TESTS:
            if test in of_index.effects:
                effect = of_index.effects[test]
                row |= {test: effect.value, f"{test}, low": effect.low, f"{test}, high": effect.high}
        if of_index.kendall is not None:
            row[KENDALL] = of_index.kendall.value
        table.append(row | {PRIME: of_index.d_prime})
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
