"""The ranking of sources against one that goes pair by pair: ties, missing pairs, models of other depth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stitchpipe.studies.axis import Axis
from stitchpipe.studies.best_match import matches
from stitchpipe.studies.best_source import standing
from stitchpipe.studies.finding import StudyError
from stitchpipe.studies.pairs import of_indices

LAYERS = tuple("abcdef")
ORDER = {"A": LAYERS, "B": LAYERS, "deep": (*LAYERS, "g", "h"), "single": ("a",)}
STAGES = {"A": [0, 0, 0, 1, 1, 1], "B": [0, 0, 0, 1, 1, 1], "deep": [0, 0, 0, 1, 1, 1, 1, 1]}
AXIS = Axis.of(ORDER, STAGES)


def numbers(index, seed):
    """Return one index over most pairs, in no order; few values, so that many are level."""
    generator = np.random.default_rng(seed)
    ends = [(model, layer) for model, layers in ORDER.items() for layer in layers]
    rows = [(index, "pooled", *source, *target) for source in ends for target in ends]
    frame = pd.DataFrame(
        rows, columns=["index", "view", "source_model", "source_layer", "target_model", "target_layer"]
    )
    frame["value"] = generator.choice([0.25, 0.5, 0.75, np.nan], len(frame))
    return frame.sample(frac=0.8, random_state=seed).reset_index(drop=True)


def by_target(frame, models):
    """Return the sources with a number of each target, by pair of models, as they first occur."""
    groups: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for row in frame.dropna(subset=["value"]).itertuples():
        if (row.source_model, row.target_model) in models:
            groups.setdefault((row.source_model, row.target_model, row.target_layer), []).append(
                (row.source_layer, row.value)
            )
    return groups


@pytest.mark.parametrize(("index", "sign"), [("cka", 1), ("procrustes", -1)])
@pytest.mark.parametrize("seed", range(3))
def test_standing_is_that_of_a_search_pair_by_pair(index, sign, seed):
    frame = numbers(index, seed)
    pairs = of_indices(frame, AXIS)[index, "pooled"]
    expected = []
    for (source, target, layer), held in by_target(frame, {("A", "B"), ("B", "A")}).items():
        values, at = dict(held), LAYERS.index(layer)
        others = [name for name in values if name != layer]
        if layer not in values or not others:
            continue
        best = max(others, key=lambda name: (sign * values[name], -abs(LAYERS.index(name) - at)))
        ahead = sign * (values[layer] - values[best])
        verdict = "tied" if ahead == 0 else "best" if ahead > 0 else "beaten"
        away = abs(LAYERS.index(best) - at) if verdict == "beaten" else 0
        expected.append((target, layer, source, values[layer], best, values[best], ahead, verdict, away))
    found = standing(pairs.at(pairs.across))
    assert found.targets == len(expected) > 0
    shown = found.cases.drop(columns="target").astype(object)
    assert [tuple(row) for row in shown.itertuples(index=False)] == expected
    assert found.excess == max(0.0, *(-row[6] for row in expected))


@pytest.mark.parametrize(("index", "sign"), [("cka", 1), ("procrustes", -1)])
@pytest.mark.parametrize("seed", range(3))
def test_best_sources_are_those_of_a_search_pair_by_pair(index, sign, seed):
    frame = numbers(index, seed)
    models = {(s, t) for s in STAGES for t in STAGES if s != t}
    expected = {}
    for (source, target, layer), held in by_target(frame, models).items():
        if len(held) < 2:
            continue
        at = ORDER[target].index(layer)
        off = {
            name: abs(ORDER[source].index(name) / (len(ORDER[source]) - 1) - at / (len(ORDER[target]) - 1))
            for name, _ in held
        }
        best = max(sign * value for _, value in held)
        level = [name for name, value in held if sign * value == best]
        stage = STAGES[target][at]
        of_stage = [STAGES[source][ORDER[source].index(name)] == stage for name, _ in held]
        nearest = min(level, key=lambda name: off[name])
        expected[source, target, layer] = (
            nearest,
            len(level) > 1,
            float(nearest == layer) if "deep" not in (source, target) else None,
            pytest.approx(np.mean(of_stage)),
        )
    cases = matches(of_indices(frame, AXIS)[index, "pooled"]).cases
    found = {
        (row.source_model, row.target_model, row.target_layer): (
            row.best,
            row.tied,
            None if np.isnan(row.exact) else row.exact,
            row.stage,
        )
        for row in cases.rename(columns={"same stage by chance": "stage"}).itertuples()
    }
    assert found == expected


def test_nothing_is_ranked_where_nothing_is():
    assert of_indices(numbers("cka", 0).iloc[:0], AXIS) == {}
    pairs = of_indices(numbers("cka", 0), AXIS)["cka", "pooled"]
    none = pairs.at(np.zeros(len(pairs), bool))
    assert standing(none).targets == len(matches(none).cases) == 0


def test_a_layer_that_is_not_on_the_axis_is_named():
    unknown = numbers("cka", 0).replace({"source_layer": {"h": "x"}})
    with pytest.raises(StudyError, match="layer 'x' of model 'deep'"):
        of_indices(unknown, AXIS)
