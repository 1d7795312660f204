"""Study depth: curves over layers that rise, that peak inside, and that do neither."""

from __future__ import annotations

import numpy as np
import pytest

from tests import synthetic_results as synthetic
from tests.studies.asked import found

RESULTS = synthetic.few_indices().iloc[:0]
LAYERS = len(synthetic.ORDER["A"])


def asked(curves, measure="two_nn", **facts):
    """Return the finding of numbers of layers: a value for each layer of some models."""
    layers = [
        synthetic.layer_number(model, layer, measure, value)
        for model, values in curves.items()
        for layer, value in zip(synthetic.ORDER[model], values, strict=True)
    ]
    return found("depth", RESULTS, layers=layers, **facts).get("along-depth")


def hump(height=20.0):
    return 5.0 + height * np.sin(np.linspace(0.2, np.pi - 0.2, LAYERS))


def test_what_rises_along_the_layers_is_told_with_limits():
    finding = asked({"A": np.linspace(3, 9, LAYERS)}, "participation_ratio")
    (row,) = finding.table.to_dict("records")
    assert row["Spearman ρ"] == pytest.approx(1.0)
    assert 0 < row["low"] < 1
    assert (row["first"], row["largest"]) == (3.0, 9.0)
    assert row["at"] == synthetic.ORDER["A"][-1]
    assert finding.outcome is None
    assert not finding.claim
    (effect,) = finding.effects
    assert effect.units == LAYERS
    assert "in 1 of 1 cases" in finding.answer


def test_dimension_that_first_grows_and_then_falls_is_as_claimed():
    finding = asked({"A": hump(), "B": hump(30.0)})
    assert finding.outcome == "as claimed"
    assert finding.table["peak inside"].all()
    assert (finding.table["low"] < 0).all()
    assert (finding.table["high"] > 0).all()


def test_dimension_that_only_falls_is_not_as_claimed():
    finding = asked({"A": np.linspace(30, 3, LAYERS), "B": np.linspace(40, 2, LAYERS)})
    assert finding.outcome == "not as claimed"
    assert "0 of 2" in finding.answer


def test_a_peak_within_its_error_is_none():
    """With 450 images a dimension is known to a twentieth: a hump of two per cent is nothing."""
    finding = asked({"A": hump(0.1)})
    assert finding.outcome == "not as claimed"


def test_random_weights_and_short_networks_are_left_out():
    finding = asked({"A": hump(), "B": np.linspace(30, 3, LAYERS)}, kinds={"B": "untrained"})
    assert finding.table["network"].tolist() == ["A"]
    assert finding.outcome == "as claimed"
    assert any("random weights" in said for said in finding.left_out)
    few = [synthetic.layer_number("A", layer, "two_nn", 3.0) for layer in synthetic.ORDER["A"][:3]]
    assert found("depth", RESULTS, layers=few) == {}


def test_a_curve_without_variation_has_no_correlation():
    assert asked({"A": np.full(LAYERS, 3.0)}) is None
