"""Study ood: what the distances say, the drift from the identity, and the detector beside its sanity check."""

from __future__ import annotations

import pandas as pd
import pytest

from stitchpipe.ood import OF_THE_DETECTOR, SCORES
from stitchpipe.stitching.fidelity import FIDELITY
from stitchpipe.studies import stitches
from stitchpipe.studies.measures import DISTANCES, TITLES
from stitchpipe.studies.stitches import measures_of
from tests import synthetic_results as synthetic
from tests.studies.asked import RELATIVE, found

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS


@pytest.fixture(scope="module")
def results():
    return synthetic.few_indices()


@pytest.fixture(scope="module")
def before(results):
    return found("ood", results)


def test_swapping_the_distances_turns_out_of_distribution_around(results, before):
    assert before["out-of-distribution"].outcome == "as claimed"
    changed = results.copy()
    hit = changed["index"].str.startswith("ood_") & (changed["method"] == "tlm")
    changed.loc[hit, "value"] = -1.0
    after = found("ood", changed)["out-of-distribution"]
    assert after.outcome == "not as claimed"
    assert all(number == 0 for name, number in after.numbers.items() if name.endswith("TLM further"))


def test_detectors_that_are_one_sided_wrong_are_warned_of(results, before):
    assert "Warning" not in before["out-of-distribution"].answer
    energies = results[results["index"] == "ood_energy"]
    warned = [1, *[0] * (len(energies) - 1)]
    judged = energies.assign(index="ood_detector", value=0.98, warned=warned)
    told = found("ood", pd.concat([results, judged], ignore_index=True))["out-of-distribution"]
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
    assert (
        found("ood", mixed)["out-of-distribution"].record()
        == found("ood", results)["out-of-distribution"].record()
    )


def test_training_from_the_identity_is_told_with_what_it_gains(results, before):
    first = before["identity-drift"]
    hit = (results["init"] == "identity") & (results["index"] == RELATIVE)
    gain = results.loc[hit, "value"] - 1.0
    assert first.numbers["trainings from the identity"] == len(gain) == 9
    assert first.effects[0].value == pytest.approx(gain.mean())
    still = results.copy()
    moved = (still["init"] == "identity") & still["index"].str.startswith("ood_")
    still.loc[moved, "value"] = 0.0
    assert "above 0 for 0 of 9" in found("ood", still)["identity-drift"].answer


def test_a_detector_is_judged_only_where_its_sanity_check_passes(results):
    energies = results[results["index"] == "ood_energy"]
    is_fine = energies["target_layer"] != "layer1.0"
    wrong = (is_fine & (energies["target_layer"] == "layer2.0")).astype(float)
    judged = energies.assign(index="ood_detector", warned=wrong)
    sanity = energies.assign(index="ood_detector_sanity", value=[0.95 if fine else 0.6 for fine in is_fine])
    after = found("ood", pd.concat([results, judged, sanity], ignore_index=True))["detector"]
    assert after.numbers["sanity check failed"] == 1
    assert after.numbers["stitches judged"] == int(is_fine.sum())
    assert after.numbers["one-sided wrong"] == int(wrong.sum())
    assert after.effects[-1].value == pytest.approx(1 / 8)
    assert "1 of 9 target layers, which are left out" in after.left_out[0]
