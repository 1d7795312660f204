"""Study budget: a ranking that is an effect of short training, and one that is not."""

from __future__ import annotations

import pandas as pd
import pytest

from tests import synthetic_results as synthetic
from tests.studies.asked import RELATIVE, found

ACCURACY = "stitch_accuracy"


def trained(own, other, steps):
    """Return trainings of every layer, and of the last one, into every layer of A, at one number of steps."""
    rows = []
    for target in synthetic.LAYERS:
        for source in {target, "layer3.2"}:
            pair = ("A", source, "A", target)
            accuracy = own if source == target else other
            rows += synthetic.stitch(
                pair,
                "tlm",
                accuracy,
                steps / 1000,
                1.0,
                init="random",
                objective="hard_labels",
                seed=0,
                steps=steps,
            )
    return rows


def results(*budgets):
    return pd.DataFrame([row for each in budgets for row in trained(*each)], columns=synthetic.SCHEMA.names)


def test_where_a_longer_training_sets_the_order_right_the_share_falls_to_nothing():
    finding = found("budget", results((0.4, 0.6, 30), (0.9, 0.7, 300)))["steps"]
    assert "100% after 30 steps; 0% after 300 steps" in finding.answer
    assert finding.numbers["stitches at both ends"] == 17
    gain = (9 * 0.5 + 8 * 0.1) / 17
    assert finding.numbers["mean gain"] == pytest.approx(gain)
    shares = {effect.what: effect for effect in finding.effects if effect.what.startswith("share")}
    assert [effect.value for effect in shares.values()] == [1.0, 0.0]
    moved = next(effect for effect in finding.effects if "Mahalanobis" in effect.what)
    assert moved.value == pytest.approx(0.27)


def test_an_order_that_stays_is_no_matter_of_budget():
    finding = found("budget", results((0.4, 0.6, 30), (0.7, 0.9, 300)))["steps"]
    assert "100% after 30 steps; 100% after 300 steps" in finding.answer


def test_one_budget_says_nothing():
    assert found("budget", results((0.4, 0.6, 30))) == {}
    assert RELATIVE != ACCURACY
