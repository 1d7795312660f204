"""Study which-index: an index that knows the layers and one that knows nothing are ranked so."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe.studies.indices import title_under
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


def _deleted(results, of_index, accuracy, view="pooled"):
    """Return the finding where indices and probe accuracies of what is left are what functions make of the rank."""
    deletions = [
        {
            "model": model, "layer": layer, "view": view, "index": index, "rank": rank, "variance": 1 - 0.5**rank,
            "value": of_index[index](rank), "accuracy": accuracy(rank), "whole_accuracy": 0.9,
        }
        for model, names in synthetic.ORDER.items()
        for layer in names
        for index in of_index
        for rank in (11, 8, 6, 4, 3, 2, 1)
    ]  # fmt: skip
    return found("which-index", results, deletions=deletions, families=FAMILIES)["which-index"]


def _rising(rank):
    return rank / 12


def test_sensitivity_is_the_rank_correlation_with_what_a_probe_tells():
    """One index falls as accuracies do, one moves by rounding alone, and a distance falls where it should rise."""
    of_index = {
        "cka": _rising,
        "dm_r2": lambda rank: 1.0 - 1e-13 * (rank % 3),
        "procrustes": lambda rank: 1.0 + _rising(rank),
    }
    told = _deleted(synthetic.few_indices(), of_index, lambda rank: 0.2 + 0.05 * rank)
    table = told.table.set_index("index")
    names = (title_under(index, "pooled") for index in of_index)
    cka, nothing, wrong = (table.loc[name] for name in names)
    assert (cka["sensitivity"], cka["sensitivity, Kendall τ"]) == (1.0, 1.0)
    assert (nothing["sensitivity"], nothing["sensitivity, Kendall τ"]) == (0.0, 0.0)
    assert (wrong["sensitivity"], wrong["sensitivity, Kendall τ"]) == (-1.0, -1.0)
    effects = {effect.what: effect for effect in told.effects if "low-rank" in effect.what}
    assert len(effects) == 6
    assert {effect.unit for effect in effects.values()} == {"layers"}
    assert "sensitivity" in told.answer
    assert not any(said.startswith("sensitivity") for said in told.left_out)


def test_where_deletions_help_the_probe_no_index_is_sensitive():
    """The claim is false: what is deleted is what a probe was misled by, up and down from rank to rank."""
    accuracy = dict(zip((11, 8, 6, 4, 3, 2, 1), (0.5, 0.8, 0.55, 0.75, 0.6, 0.7, 0.65), strict=True))
    told = _deleted(synthetic.few_indices(), {"cka": _rising, "dm_r2": _rising}, accuracy.__getitem__)
    assert (told.table["sensitivity"].dropna().abs() < 0.5).all()


def test_layers_whose_accuracy_does_not_move_are_counted_and_not_asked():
    told = _deleted(synthetic.few_indices(), {"cka": _rising}, lambda rank: 0.9)
    assert "sensitivity" not in told.table
    layers = sum(map(len, synthetic.ORDER.values()))
    assert f"sensitivity of {layers} layers whose probe accuracy no deletion changes" in told.left_out


def test_what_would_add_deletions_is_said_where_there_are_none(finding):
    assert any("low-rank deletions" in said and "deletions = true" in said for said in finding.left_out)
    elsewhere = _deleted(synthetic.few_indices(), {"cka": _rising}, _rising, view="flatten")
    assert "sensitivity" not in elsewhere.table


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
