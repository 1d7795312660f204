"""Study distance: recounted by hand, and turned around when numbers change places."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from stitchpipe.studies import LATE
from tests import synthetic_results as synthetic
from tests.studies.asked import RELATIVE, found

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS


@pytest.fixture(scope="module")
def results():
    return synthetic.few_indices()


@pytest.fixture(scope="module")
def before(results):
    return found("distance", results)


def test_swapping_tlm_and_dm_turns_late_to_early_around(results, before):
    first = before["late-to-early"]
    assert first.outcome == "as claimed"
    changed = results.copy()
    changed["method"] = changed["method"].replace({"tlm": "dm", "dm": "tlm"})
    chosen = changed["method"].notna() & (changed["init"].fillna("random") == "random")
    after = found("distance", changed[chosen | changed["method"].isna()])["late-to-early"]
    assert after.outcome == "not as claimed"
    assert after.numbers["TLM above DM"] == 0


def test_late_to_early_pairs_and_medians_are_those_counted_by_hand(results, before):
    hit = (results["method"] == "tlm") & (results["index"] == RELATIVE)
    late = [
        row.value
        for row in results[hit].itertuples()
        if LAYERS.index(row.source_layer) - LAYERS.index(row.target_layer) >= LATE * (len(LAYERS) - 1)
    ]
    numbers = before["late-to-early"].numbers
    assert numbers["late → early stitches"] == len(late) == 12
    assert numbers["TLM relative accuracy, median"] == np.median(late)


def test_depth_is_the_spearman_correlation(results, before):
    hit = (results["method"] == "dm") & (results["index"] == RELATIVE) & (results["source_model"] == "B")
    block = results[hit]
    distance = [
        abs(LAYERS.index(s) - LAYERS.index(t))
        for s, t in zip(block["source_layer"], block["target_layer"], strict=True)
    ]
    expected = spearmanr(distance, block["value"]).statistic
    assert before["depth"].numbers["Spearman ρ, DM, B into A"] == pytest.approx(expected)


def test_depth_compares_the_two_methods_on_the_same_pairs(results, before):
    assert before["depth"].outcome == "as claimed"
    changed = results.copy()
    hit = (changed["method"] == "tlm") & (changed["index"] == RELATIVE)
    places = [changed[f"{side}_layer"].map(LAYERS.index) for side in ("source", "target")]
    changed.loc[hit, "value"] = -(places[0] - places[1]).abs()[hit].astype(float)
    assert found("distance", changed)["depth"].outcome == "not as claimed"
    assert found("distance", results[results["method"] == "dm"])["depth"].outcome is None


def test_claims_about_task_loss_are_of_trainings_on_the_task(results, before):
    other = results[results["method"] == "tlm"].assign(objective="fula", value=0.0)
    mixed = pd.concat([results, other], ignore_index=True)
    assert {name: one.record() for name, one in found("distance", mixed).items()} == {
        name: one.record() for name, one in before.items()
    }
    soft = pd.concat([results, other.assign(objective="soft_labels")], ignore_index=True)
    assert found("distance", soft)["late-to-early"].record() != before["late-to-early"].record()
