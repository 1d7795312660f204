"""Study self: recounted by hand, and turned around when two results change places."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe.studies import stitches
from tests import synthetic_results as synthetic
from tests.studies.asked import RELATIVE, found, rows, swapped

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS


@pytest.fixture(scope="module")
def results():
    return synthetic.few_indices()


@pytest.fixture(scope="module")
def before(results):
    return found("self", results)


def test_swapping_two_dm_stitches_flips_the_own_layer_finding(results, before):
    first = before["dm-own-layer"]
    assert (first.numbers["strictly best"], first.numbers["beaten"]) == (9, 0)
    assert first.outcome == "as claimed"
    target = ("A", "layer2.1")
    own = rows(results, source=target, target=target, method="dm")
    other = rows(results, source=("A", "layer3.2"), target=target, method="dm")
    after = found("self", swapped(results, own, other))["dm-own-layer"]
    assert (after.numbers["strictly best"], after.numbers["beaten"]) == (8, 1)
    assert after.outcome == "partly"
    assert "8 of 9" in after.answer
    case = after.detail[after.detail["target"] == "A/layer2.1"].iloc[0]
    assert (case["best other source"], case["standing"], case["layers away"]) == ("layer3.2", "beaten", 4)
    assert case["its value"] - case["its own"] == pytest.approx(after.numbers["largest excess"])


def test_swapping_two_tlm_stitches_flips_the_violation(results, before):
    first = before["tlm-own-layer"]
    target = ("A", "layer1.0")
    own = rows(results, source=target, target=target, method="tlm", init="random")
    late = rows(results, source=("A", "layer3.2"), target=target, method="tlm", init="random")
    assert results.loc[late, "value"].item() > results.loc[own, "value"].item()
    after = found("self", swapped(results, own, late))["tlm-own-layer"]
    for name in ("TLM: another layer at or above", "TLM: strictly above"):
        assert after.numbers[name] == first.numbers[name] - 1
    assert after.answer != first.answer


def test_violations_are_those_counted_by_hand(results, before):
    wide = stitches(results, ORDER)
    tlm = wide[(wide["method"] == "tlm") & (wide["source_model"] == "A")]
    value = {
        (row.source_layer, row.target_layer, row.init): getattr(row, RELATIVE) for row in tlm.itertuples()
    }
    pairs = [(s, t, i) for s, t, i in value if s != t and (t, t, i) in value]
    above = [pair for pair in pairs if value[pair] >= value[pair[1], pair[1], pair[2]]]
    numbers = before["tlm-own-layer"].numbers
    assert numbers["comparisons at an equal budget"] == len(pairs) > 0
    assert numbers["TLM: another layer at or above"] == len(above)
    assert numbers["target layers with another at or above"] == len({t for _, t, _ in above})


def test_a_tie_counts_as_at_the_layer_itself_but_not_as_above(results):
    changed = results.copy()
    changed.loc[(changed["method"] == "tlm") & (changed["index"] == RELATIVE), "value"] = 1.0
    numbers = found("self", changed)["tlm-own-layer"].numbers
    assert numbers["TLM: another layer at or above"] == numbers["comparisons at an equal budget"]
    assert numbers["TLM: strictly above"] == 0
    changed.loc[(changed["method"] == "dm") & (changed["index"] == RELATIVE), "value"] = 1.0
    own = found("self", changed)["dm-own-layer"]
    assert (own.numbers["tied"], own.numbers["within ±1"], own.outcome) == (9, 9, "as claimed")


def test_only_equal_budgets_are_compared(results):
    changed = results.copy()
    late = (changed["method"] == "tlm") & (changed["source_layer"] == "layer3.2")
    changed.loc[late & (changed["target_layer"] != "layer3.2"), "steps"] = 600
    assert "tlm-own-layer" not in found("self", changed)


def test_the_claim_fails_where_every_layer_is_above_the_others(results):
    """A network whose layers are each their own best source under task loss: the claim is false, and it is said."""
    changed = results.copy()
    own = (changed["source_model"] == changed["target_model"]) & (
        changed["source_layer"] == changed["target_layer"]
    )
    trained = (changed["method"] == "tlm") & (changed["index"] == RELATIVE)
    changed.loc[trained & own, "value"] = 1.0
    changed.loc[trained & ~own, "value"] = 0.3
    after = found("self", changed)["tlm-own-layer"]
    assert after.outcome == "not as claimed"
    assert after.answer.startswith("In 0 of 8 comparisons")
    share, gain = after.effects
    assert (share.value, share.units) == (0.0, 8)
    assert share.high < 0.5
    assert (gain.low, gain.high) == pytest.approx((-0.7, -0.7))


def test_what_images_explain_is_told_apart(results, before):
    """Of 450 images, .02 of accuracy about .9 is within what two sets of images differ by; .1 is not."""
    first = before["tlm-own-layer"]
    changed = results.copy()
    hit = (changed["method"] == "tlm") & (changed["index"] == "stitch_accuracy")
    changed.loc[hit, "value"] = [0.9 if s == t else 0.92 for s, t in zip(
        changed.loc[hit, "source_layer"], changed.loc[hit, "target_layer"], strict=True)]  # fmt: skip
    assert found("self", changed)["tlm-own-layer"].numbers["TLM: above by more than images explain"] == 0
    assert first.numbers["TLM: above by more than images explain"] == 7
    assert list(first.detail["gain"]) == sorted(first.detail["gain"], reverse=True)


@pytest.mark.parametrize(("half", "beyond"), [(0.45, 0), (0.0001, 8)])
def test_where_images_belong_together_their_groups_explain_as_much_as_their_limits_say(results, half, beyond):
    """Limits of accuracies are over groups then: wide ones explain all differences, narrow ones none."""
    changed = results.copy()
    hit = (changed["method"] == "tlm") & (changed["index"] == "stitch_accuracy")
    own = changed["source_layer"] == changed["target_layer"]
    changed.loc[hit, "value"] = np.where(own[hit], 0.4, 0.9)
    changed[["low", "high"]] = changed[["low", "high"]].astype(float)
    changed.loc[hit, "low"], changed.loc[hit, "high"] = (
        changed.loc[hit, "value"] + s * half for s in (-1, 1)
    )
    told = found("self", changed)["tlm-own-layer"]
    assert told.numbers["TLM: above by more than images explain"] == beyond
