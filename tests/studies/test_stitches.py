"""Stitches side by side, one row for each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stitchpipe.studies import StudyError, stitches
from stitchpipe.studies.stitches import PAIR
from tests import synthetic_results as synthetic
from tests.studies.asked import rows

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS


@pytest.fixture(scope="module")
def results():
    return synthetic.results()


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
        synthetic.evidence(twice)
    twice = pd.concat([results, results[results["method"].isna()]])
    with pytest.raises(StudyError, match="several"):
        synthetic.evidence(twice)


def test_an_unknown_layer_is_named(results):
    with pytest.raises(StudyError, match=r"layer3\.2"):
        synthetic.evidence(results, {**ORDER, "A": LAYERS[:-1]})
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
