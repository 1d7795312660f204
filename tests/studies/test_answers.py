"""Answers of all studies: their records, what is left out of them, and what they lack."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from stitchpipe.studies import STUDIES, StudyError, findings, study_named
from tests import synthetic_results as synthetic
from tests.studies.asked import RELATIVE, found

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS
SMALL = {"A": ("layer1.0", "layer2.0", "layer3.2"), "B": ("layer1.0", "layer2.0", "layer3.2")}


@pytest.fixture(scope="module")
def results():
    return synthetic.results(order=SMALL, views=("pooled",))


@pytest.fixture(scope="module")
def told(results):
    return synthetic.answered(results, SMALL)


def by_name(told):
    return {finding.name: finding for finding in findings(told)}


def test_every_question_is_answered_and_a_record_is_plain_json(told):
    answered = by_name(told)
    assert set(answered) == {
        "late-to-early", "tlm-own-layer", "tlm-corresponding-layer", "dm-own-layer", "dm-corresponding-layer",
        "out-of-distribution", "depth", "indices", "best-source", "similarity-distance", "identity-drift",
        "dm-or-not", "which-index", "one-shape",
    }  # fmt: skip
    for finding in answered.values():
        record = json.loads(json.dumps(finding.record(), allow_nan=False))
        assert record["question"].endswith("?")
        assert record["answer"]
        assert record["study"] in STUDIES
        assert (finding.outcome is None) == (not finding.claim) == (not finding.criterion)
        assert record["falsifier"]
        assert record["effects"]
        for effect in record["effects"]:
            assert effect["low"] is None or effect["low"] <= effect["value"] <= effect["high"]
        assert len(finding.table)
        whole = json.loads(json.dumps(finding.record(with_tables=True), allow_nan=False))
        assert len(whole["cases"]) == len(finding.detail) > 0


def test_findings_without_results_behind_them_are_left_out_and_the_need_is_told(results):
    nothing = synthetic.answered(results.iloc[:0], SMALL)
    assert findings(nothing) == []
    assert all(answer.lacking for answer in nothing)
    compared = results[results["method"].isna()]
    assert set(by_name(synthetic.answered(compared, SMALL))) == {
        "dm-own-layer", "dm-corresponding-layer", "indices", "best-source", "similarity-distance", "one-shape",
    }  # fmt: skip
    only_dm = results[results["method"] == "dm"]
    names = set(by_name(synthetic.answered(only_dm, SMALL)))
    assert names == {"dm-own-layer", "dm-corresponding-layer", "best-source", "depth"}


def test_no_claim_speaks_of_controls(results, told):
    control = results.assign(source_model=results["source_model"].replace("A", "codes"))
    mixed = pd.concat([results, control[control["source_model"] == "codes"]], ignore_index=True)
    order = {**SMALL, "codes": SMALL["A"]}
    as_control = by_name(synthetic.answered(mixed, order, kinds={"codes": "control"}))
    before = by_name(told)
    assert {name: as_control[name].record() for name in before} == {
        name: finding.record() for name, finding in before.items()
    }
    as_network = found("distance", mixed, order)
    assert as_network["depth"].numbers != before["depth"].numbers


def test_of_networks_with_random_weights_nothing_is_claimed(results):
    untrained = dict.fromkeys(SMALL, "untrained")
    assert found("self", results, SMALL, kinds=untrained) == {}
    one = found("correspondence", results, SMALL, kinds={"B": "untrained"})
    assert one == {}
    mixed = found("self", results, SMALL, kinds={"B": "untrained"})
    assert "random weights, of which the literature claims nothing: B" in mixed["dm-own-layer"].left_out[0]


def test_accuracy_relative_to_a_network_at_chance_is_no_accuracy(results):
    """Of 450 images .12 cannot be told from .1, and .98 can."""
    before = found("distance", results, SMALL, chance=0.1)
    assert not before["depth"].left_out
    low = results.copy()
    low.loc[low["index"] == "stitch_accuracy", "value"] = (
        0.12 * low.loc[low["index"] == RELATIVE, "value"].to_numpy()
    )
    after = found("distance", low, SMALL, chance=0.1)
    assert "depth" not in after
    assert "late-to-early" not in after
    lost = after["similarity-distance"].left_out
    stitches = low.loc[low["index"] == RELATIVE]
    assert lost == (
        f"{len(stitches)} stitches into networks whose own accuracy cannot be told from chance: A",
    )
    assert "depth" in found("distance", low, SMALL)  # nobody knows what chance is


def test_a_study_that_is_none_is_refused_with_the_nearest_names():
    with pytest.raises(StudyError, match="distance"):
        study_named("distances")


def test_an_answer_is_a_document(told):
    record = json.loads(json.dumps(told[0].record(), allow_nan=False))
    assert (record["schema"], record["study"], record["run"]) == (1, "self", "made up")
    assert set(record) == {"schema", "run", "study", "title", "question", "findings", "lacking", "toml"}
    effect = record["findings"][0]["effects"][0]
    assert set(effect) == {"what", "value", "low", "high", "unit", "units", "method", "level"}
    assert np.isfinite(effect["value"])
