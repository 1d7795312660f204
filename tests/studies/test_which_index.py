"""Study which-index: an index that knows the layers and one that knows nothing are ranked so."""

from __future__ import annotations

import numpy as np
import pytest

from tests import synthetic_results as synthetic
from tests.studies.asked import found

FAMILIES = {"A": "wide", "B": "wide", "C": "narrow"}


@pytest.fixture(scope="module")
def finding():
    results = synthetic.few_indices()
    generator = np.random.default_rng(0)
    blind = results["index"] == "dm_r2"
    results.loc[blind, "value"] = generator.random(int(blind.sum()))
    return found("which-index", results, families=FAMILIES)["which-index"]


def test_the_blind_index_comes_last_and_its_intervals_say_so(finding):
    assert finding.table["index"].tolist()[-1] == "Direct matching, R² (pooled)"
    last, first = finding.table.iloc[-1], finding.table.iloc[0]
    assert last["specificity, low"] < 0.5 < last["specificity, high"]
    assert first["specificity"] == 1.0
    assert 0.5 < first["specificity, low"] < 1.0
    assert abs(last["behaviour"]) < 0.3
    assert first["behaviour, low"] > 0.9
    assert abs(last["d′ of layers"]) < 1 < first["d′ of layers"]


def test_what_no_run_has_is_said(finding):
    assert any("low-rank deletions" in said for said in finding.left_out)


def test_specificity_is_of_seeds_of_one_family():
    results = synthetic.few_indices()
    alone = found("which-index", results, families={"A": "a", "B": "b", "C": "c"})["which-index"]
    assert "specificity" not in alone.table
    assert any(said.startswith("specificity: ") for said in alone.left_out)
