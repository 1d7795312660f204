"""Study dm-or-not: the claim holds where stitches follow it, and fails for a training that orders as well."""

from __future__ import annotations

import pandas as pd
import pytest

from tests import synthetic_results as synthetic
from tests.studies.asked import found

LAYERS = synthetic.LAYERS


def results(trained):
    """Return direct matching that falls with distance, and trainings whose accuracy a function says."""
    rows = []
    for at, target in enumerate(LAYERS):
        for there, source in enumerate(LAYERS):
            pair, between = ("A", source, "A", target), abs(at - there)
            rows += synthetic.stitch(pair, "dm", 1 - between / 10, between / 10, between)
            for objective in ("hard_labels", "penultimate", "fula"):
                rows += synthetic.stitch(
                    pair, "tlm", trained(objective, between), 0.9, 3.0, init="random", objective=objective, seed=0,
                    steps=100,
                )  # fmt: skip
    return pd.DataFrame(rows, columns=synthetic.SCHEMA.names)


def test_as_claimed_where_only_direct_matching_orders():
    findings = found("dm-or-not", results(lambda _, between: 0.5 + between / 20))
    assert set(findings) == {"dm-or-not"}
    finding = findings["dm-or-not"]
    assert finding.outcome == "as claimed"
    assert finding.numbers["ρ, DM"] == pytest.approx(-1.0)
    assert finding.numbers["ρ, TLM from random for hard_labels"] == pytest.approx(1.0)
    assert len(finding.table) == 4
    assert finding.table["pairs"].tolist() == [81] * 4
    assert finding.table["layer itself on top"].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_the_claim_fails_where_features_are_matched_as_well():
    def as_well(objective, between):
        return 1 - between / 10 if objective == "penultimate" else 0.5 + between / 20

    finding = found("dm-or-not", results(as_well))["dm-or-not"]
    assert finding.outcome == "partly"  # both have the layer itself on top, neither falls more
    flat = results(as_well)
    hit = (flat["method"] == "dm") & (flat["index"] == "stitch_relative_accuracy")
    flat.loc[hit, "value"] = [0.5 + abs(LAYERS.index(s) - LAYERS.index(t)) / 20 for s, t in zip(
        flat.loc[hit, "source_layer"], flat.loc[hit, "target_layer"], strict=True)]  # fmt: skip
    assert found("dm-or-not", flat)["dm-or-not"].outcome == "not as claimed"


def test_a_way_of_few_pairs_does_not_take_the_pairs_of_the_others():
    frame = results(lambda _, between: 0.5 + between / 20)
    few = frame[(frame["objective"] == "hard_labels") & (frame["source_layer"] == "layer3.2")].assign(
        init="dm"
    )
    findings = found("dm-or-not", pd.concat([frame, few], ignore_index=True))
    assert findings["dm-or-not"].table["pairs"].tolist() == [81] * 4
    assert findings["dm-or-not"].left_out == ("TLM from dm for hard_labels, of 9 pairs alone",)
    every_way = findings["dm-or-not-every-way"]
    assert every_way.table["pairs"].tolist() == [9] * 5
    assert "ρ, TLM from dm for hard_labels" in every_way.numbers
    assert every_way.left_out == ()


def test_without_a_training_beside_it_nothing_is_said():
    only = results(lambda _, __: 0.5)
    assert found("dm-or-not", only[only["method"] == "dm"]) == {}
