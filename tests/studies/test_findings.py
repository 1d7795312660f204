"""Findings follow the results: each is recounted by hand, and flips when two results change places."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from stitchpipe.ood import OF_THE_DETECTOR, SCORES
from stitchpipe.stitching.fidelity import FIDELITY
from stitchpipe.studies import LATE, StudyError, findings, stitches
from stitchpipe.studies.measures import DISTANCES, TITLES
from stitchpipe.studies.stitches import PAIR, measures_of
from tests import synthetic_results as synthetic

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS
RELATIVE = "stitch_relative_accuracy"


@pytest.fixture(scope="module")
def results():
    return synthetic.results()


@pytest.fixture(scope="module")
def found(results):
    return {finding.name: finding for finding in findings(results, ORDER)}


def by_name(results):
    return {finding.name: finding for finding in findings(results, ORDER)}


def rows(results, *, source, target, method, index=RELATIVE, init=None):
    """Return where the results hold one stitch's number."""
    hit = (results["index"] == index) & (results["method"] == method)
    for side, (model, layer) in (("source", source), ("target", target)):
        hit &= (results[f"{side}_model"] == model) & (results[f"{side}_layer"] == layer)
    if init is not None:
        hit &= results["init"] == init
    return results.index[hit]


def swapped(results, first, second):
    """Return a copy in which two numbers have changed places."""
    assert len(first) == len(second) == 1
    changed = results.copy()
    changed.loc[[*first, *second], "value"] = results.loc[[*second, *first], "value"].to_numpy()
    return changed


def test_every_question_is_answered_and_a_record_is_plain_json(found):
    assert set(found) == {
        "late-to-early", "tlm-own-layer", "tlm-corresponding-layer", "dm-own-layer", "dm-corresponding-layer",
        "out-of-distribution", "depth", "indices",
    }  # fmt: skip
    for finding in found.values():
        record = json.loads(json.dumps(finding.record(), allow_nan=False))
        assert record["question"].endswith("?")
        assert record["answer"]
        assert (finding.outcome is None) == (not finding.claim) == (not finding.criterion)
        assert len(finding.table)
        assert len(finding.detail)


def test_swapping_two_dm_stitches_flips_the_own_layer_finding(results, found):
    before = found["dm-own-layer"]
    assert (before.numbers["strictly best"], before.numbers["beaten"]) == (9, 0)
    assert before.outcome == "as claimed"
    target = ("A", "layer2.1")
    own = rows(results, source=target, target=target, method="dm")
    other = rows(results, source=("A", "layer3.2"), target=target, method="dm")
    after = by_name(swapped(results, own, other))["dm-own-layer"]
    assert (after.numbers["strictly best"], after.numbers["beaten"]) == (8, 1)
    assert after.outcome == "partly"
    assert "8 of 9" in after.answer
    case = after.detail[after.detail["target"] == "A/layer2.1"].iloc[0]
    assert (case["best other source"], case["standing"], case["layers away"]) == ("layer3.2", "beaten", 4)
    assert case["its value"] - case["its own"] == pytest.approx(after.numbers["largest excess"])


def test_swapping_two_tlm_stitches_flips_the_violation(results, found):
    before = found["tlm-own-layer"]
    target = ("A", "layer1.0")
    own = rows(results, source=target, target=target, method="tlm", init="random")
    late = rows(results, source=("A", "layer3.2"), target=target, method="tlm", init="random")
    assert results.loc[late, "value"].item() > results.loc[own, "value"].item()
    after = by_name(swapped(results, own, late))["tlm-own-layer"]
    for name in ("TLM: another layer at or above", "TLM: strictly above"):
        assert after.numbers[name] == before.numbers[name] - 1
    assert after.answer != before.answer


def test_swapping_tlm_and_dm_turns_late_to_early_around(results, found):
    before = found["late-to-early"]
    assert before.outcome == "as claimed"
    changed = results.copy()
    changed["method"] = changed["method"].replace({"tlm": "dm", "dm": "tlm"})
    chosen = changed["method"].notna() & (changed["init"].fillna("random") == "random")
    after = by_name(changed[chosen | changed["method"].isna()])["late-to-early"]
    assert after.outcome == "not as claimed"
    assert after.numbers["TLM above DM"] == 0


def test_swapping_the_distances_turns_out_of_distribution_around(results, found):
    assert found["out-of-distribution"].outcome == "as claimed"
    changed = results.copy()
    hit = changed["index"].str.startswith("ood_") & (changed["method"] == "tlm")
    changed.loc[hit, "value"] = -1.0
    after = by_name(changed)["out-of-distribution"]
    assert after.outcome == "not as claimed"
    assert all(number == 0 for name, number in after.numbers.items() if name.endswith("TLM further"))


def test_violations_are_those_counted_by_hand(results, found):
    wide = stitches(results, ORDER)
    tlm = wide[(wide["method"] == "tlm") & (wide["source_model"] == "A")]
    value = {
        (row.source_layer, row.target_layer, row.init): getattr(row, RELATIVE) for row in tlm.itertuples()
    }
    pairs = [(s, t, i) for s, t, i in value if s != t and (t, t, i) in value]
    above = [pair for pair in pairs if value[pair] >= value[pair[1], pair[1], pair[2]]]
    numbers = found["tlm-own-layer"].numbers
    assert numbers["comparisons at an equal budget"] == len(pairs) > 0
    assert numbers["TLM: another layer at or above"] == len(above)
    assert numbers["target layers with another at or above"] == len({t for _, t, _ in above})


def test_a_tie_counts_as_at_the_layer_itself_but_not_as_above(results):
    changed = results.copy()
    changed.loc[(changed["method"] == "tlm") & (changed["index"] == RELATIVE), "value"] = 1.0
    numbers = by_name(changed)["tlm-own-layer"].numbers
    assert numbers["TLM: another layer at or above"] == numbers["comparisons at an equal budget"]
    assert numbers["TLM: strictly above"] == 0
    changed.loc[(changed["method"] == "dm") & (changed["index"] == RELATIVE), "value"] = 1.0
    own = by_name(changed)["dm-own-layer"]
    assert (own.numbers["tied"], own.numbers["within ±1"], own.outcome) == (9, 9, "as claimed")


def test_only_equal_budgets_are_compared(results):
    changed = results.copy()
    late = (changed["method"] == "tlm") & (changed["source_layer"] == "layer3.2")
    changed.loc[late & (changed["target_layer"] != "layer3.2"), "steps"] = 600
    assert "tlm-own-layer" not in by_name(changed)


def test_late_to_early_pairs_and_medians_are_those_counted_by_hand(results, found):
    hit = (results["method"] == "tlm") & (results["index"] == RELATIVE)
    late = [
        row.value
        for row in results[hit].itertuples()
        if LAYERS.index(row.source_layer) - LAYERS.index(row.target_layer) >= LATE * (len(LAYERS) - 1)
    ]
    numbers = found["late-to-early"].numbers
    assert numbers["late → early stitches"] == len(late) == 12
    assert numbers["TLM relative accuracy, median"] == np.median(late)


def test_depth_is_the_spearman_correlation(results, found):
    hit = (results["method"] == "dm") & (results["index"] == RELATIVE) & (results["source_model"] == "B")
    block = results[hit]
    distance = [
        abs(LAYERS.index(s) - LAYERS.index(t))
        for s, t in zip(block["source_layer"], block["target_layer"], strict=True)
    ]
    expected = spearmanr(distance, block["value"]).statistic
    assert found["depth"].numbers["Spearman ρ, DM, B into A"] == pytest.approx(expected)


def test_depth_compares_the_two_methods_on_the_same_pairs(results, found):
    assert found["depth"].outcome == "as claimed"
    changed = results.copy()
    hit = (changed["method"] == "tlm") & (changed["index"] == RELATIVE)
    places = [changed[f"{side}_layer"].map(LAYERS.index) for side in ("source", "target")]
    changed.loc[hit, "value"] = -(places[0] - places[1]).abs()[hit].astype(float)
    assert by_name(changed)["depth"].outcome == "not as claimed"
    assert by_name(results[results["method"] == "dm"])["depth"].outcome is None


def test_a_distance_is_best_where_it_is_smallest(results, found):
    table = found["indices"].table.set_index("index")
    assert table.loc["Procrustes, squared", "positions: strictly best"] == "54 of 54"
    turned = results.copy()
    turned.loc[turned["index"] == "procrustes", "value"] *= -1
    after = by_name(turned)["indices"]
    changed = after.table.set_index("index")
    assert changed.loc["Procrustes, squared", "positions: strictly best"] == "0 of 54"
    assert changed.loc["Mean CCA"].equals(table.loc["Mean CCA"])
    assert "Procrustes, squared" in after.answer


def test_an_undefined_number_is_left_out_not_counted(found):
    table = found["indices"].table.set_index("index")
    assert table.loc["Mean CCA", "positions: strictly best"] == "52 of 52"
    assert table.loc["Mean squared CCA", "positions: strictly best"] == "54 of 54"


def test_findings_without_results_behind_them_are_left_out(results):
    assert findings(results.iloc[:0], ORDER) == []
    compared = results[results["method"].isna()]
    assert {finding.name for finding in findings(compared, ORDER)} == {
        "dm-own-layer", "dm-corresponding-layer", "indices",
    }  # fmt: skip
    only_dm = results[results["method"] == "dm"]
    names = {finding.name for finding in findings(only_dm, ORDER)}
    assert names == {"dm-own-layer", "dm-corresponding-layer", "depth"}


def test_one_model_alone_has_no_counterpart():
    order = {"A": LAYERS}
    only = synthetic.results()
    only = only[(only["source_model"] == "A") & (only["target_model"] == "A")]
    names = {finding.name for finding in findings(only, order)}
    assert "dm-own-layer" in names
    assert not names & {"dm-corresponding-layer", "tlm-corresponding-layer", "indices"}


def test_kinds_of_pairs(results):
    wide = stitches(results, ORDER)
    kinds = dict(
        zip(zip(*(wide[name] for name in (*PAIR[:2], PAIR[3])), strict=True), wide["kind"], strict=True)
    )
    assert kinds["A", "layer2.0", "layer2.0"] == "self"
    assert kinds["B", "layer2.0", "layer2.0"] == "corresponding"
    assert kinds["B", "layer3.2", "layer1.0"] == "late → early"
    assert kinds["A", "layer1.0", "layer3.2"] == "other"
    shallower = {"A": LAYERS, "B": LAYERS[::2]}
    fewer = results[~results["source_model"].eq("C") & ~results["target_model"].eq("C")]
    fewer = fewer[~fewer["source_model"].eq("B") | fewer["source_layer"].isin(LAYERS[::2])]
    assert "corresponding" not in set(stitches(fewer, shallower)["kind"])


def test_numbers_of_two_runs_are_refused(results):
    twice = pd.concat([results, results[results["method"] == "dm"]])
    with pytest.raises(StudyError, match="several"):
        findings(twice, ORDER)
    twice = pd.concat([results, results[results["method"].isna()]])
    with pytest.raises(StudyError, match="several"):
        findings(twice, ORDER)


def test_no_claim_speaks_of_controls(results, found):
    control = results.copy()
    control["source_model"] = control["source_model"].replace("A", "codes")
    mixed = pd.concat([results, control[control["source_model"] == "codes"]], ignore_index=True)
    order = {**ORDER, "codes": LAYERS}
    told = {one.name: one.record() for one in findings(mixed, order, controls=["codes"])}
    assert told == {name: one.record() for name, one in found.items()}
    assert told != {one.name: one.record() for one in findings(mixed, order)}


def test_claims_about_task_loss_are_of_trainings_on_the_task(results, found):
    other = results[results["method"] == "tlm"].assign(objective="fula", value=0.0)
    mixed = pd.concat([results, other], ignore_index=True)
    assert {name: one.record() for name, one in by_name(mixed).items()} == {
        name: one.record() for name, one in found.items()
    }
    soft = pd.concat([results, other.assign(objective="soft_labels")], ignore_index=True)
    assert by_name(soft)["late-to-early"].record() != found["late-to-early"].record()


def test_an_unknown_layer_is_named(results):
    with pytest.raises(StudyError, match=r"layer3\.2"):
        findings(results, {**ORDER, "A": LAYERS[:-1]})
    with pytest.raises(StudyError, match="no such model"):
        stitches(results, {"B": LAYERS, "C": LAYERS})


def test_a_failed_stitch_keeps_its_reason(results):
    target = ("A", "layer1.0")
    place = rows(results, source=target, target=target, method="dm", index="ood_knn")
    changed = results.copy()
    changed.loc[place, ["value", "status", "reason"]] = [np.nan, "constant", "no variance"]
    wide = stitches(changed, ORDER)
    row = wide[
        (wide["kind"] == "self") & (wide["target_layer"] == "layer1.0") & (wide["method"] == "dm")
    ].iloc[0]
    assert np.isnan(row["ood_knn"])
    assert row["ood_knn_note"] == "constant: no variance"
    assert row["ood_mahalanobis_auroc"] == 0.5 + row["ood_mahalanobis"] / 2


def test_detectors_that_are_one_sided_wrong_are_warned_of(results, found):
    assert "Warning" not in found["out-of-distribution"].answer
    energies = results[results["index"] == "ood_energy"]
    warned = [1, *[0] * (len(energies) - 1)]
    judged = energies.assign(index="ood_detector", value=0.98, warned=warned)
    told = by_name(pd.concat([results, judged], ignore_index=True))["out-of-distribution"]
    assert f"Warning: in 1 of {len(energies)}" in told.answer
    assert "trained detector: TLM further" in told.numbers


def test_titles_are_those_of_the_declared_measures():
    detector, *beside = OF_THE_DETECTOR
    assert list(DISTANCES) == [*SCORES.own, detector]
    assert list(TITLES) == [*FIDELITY, *DISTANCES, *beside]
    assert TITLES["ood_vim_positional"] == "positional ViM residual"


def test_a_score_that_nobody_knows_any_more_is_shown_by_its_name(results):
    unknown = results[results["index"] == "ood_energy"].assign(
        index="ood_of_a_package_that_is_gone", value=0.5
    )
    mixed = pd.concat([results, unknown], ignore_index=True)
    wide = stitches(mixed, ORDER)
    assert measures_of(wide)["ood_of_a_package_that_is_gone"] == "ood_of_a_package_that_is_gone"
    assert (wide["ood_of_a_package_that_is_gone"] == 0.5).all()
    assert by_name(mixed)["out-of-distribution"].record() == by_name(results)["out-of-distribution"].record()
