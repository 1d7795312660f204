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


def _probed(results, accuracy, **changes):
    """Return the finding where a layer's probe accuracy is what a function makes of its depth."""
    layers = [
        synthetic.layer_number(model, layer, "linear_probe", accuracy(depth), **changes)
        for model, names in synthetic.ORDER.items()
        for depth, layer in enumerate(names)
    ]
    return found("which-index", results, layers=layers, families=FAMILIES)["which-index"]


def test_indices_are_held_against_what_a_probe_tells_of_layers():
    """Likeness falls with the layers between; so does the difference of accuracies that rise with depth."""
    results = synthetic.few_indices()
    generator = np.random.default_rng(0)
    blind = results["index"] == "dm_r2"
    results.loc[blind, "value"] = generator.random(int(blind.sum()))
    table = _probed(results, lambda depth: 0.2 + 0.08 * depth).table.set_index("index")
    cka, nothing = table.loc["Linear CKA, debiased (pooled)"], table.loc["Direct matching, R² (pooled)"]
    assert cka["probes"] > 0.9
    assert cka["probes, low"] > 0.8
    assert nothing["probes, low"] < 0 < nothing["probes, high"]
    assert table.index[-1] == "Direct matching, R² (pooled)"


def test_where_probes_say_nothing_of_layers_no_index_agrees_with_them():
    """The claim is false: accuracies that go up and down from layer to layer, whatever likeness does."""
    told = _probed(synthetic.few_indices(), lambda depth: 0.3 + 0.4 * (depth % 2))
    assert (told.table["probes"].abs() < 0.3).all()
    assert (told.table["probes, low"] < 0.2).all()


def test_probes_of_another_view_are_no_probes_and_what_would_add_them_is_said():
    told = _probed(synthetic.few_indices(), lambda depth: 0.1 * depth, view="flatten")
    assert "probes" not in told.table
    assert any("layer_measures = " in said for said in told.left_out)
