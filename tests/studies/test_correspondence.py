"""Study correspondence: which source is best, ties, stages, and what chance alone would give."""

from __future__ import annotations

import pytest

from tests import synthetic_results as synthetic
from tests.studies.asked import found

ORDER, LAYERS = synthetic.ORDER, synthetic.LAYERS


@pytest.fixture(scope="module")
def results():
    return synthetic.results()


@pytest.fixture(scope="module")
def before(results):
    return found("correspondence", results)


def test_a_distance_is_best_where_it_is_smallest(results, before):
    table = before["indices"].table.set_index("index")
    assert table.loc["Procrustes, squared", "positions: strictly best"] == "54 of 54"
    turned = results.copy()
    turned.loc[turned["index"] == "procrustes", "value"] *= -1
    after = found("correspondence", turned)["indices"]
    changed = after.table.set_index("index")
    assert changed.loc["Procrustes, squared", "positions: strictly best"] == "0 of 54"
    assert changed.loc["Mean CCA"].equals(table.loc["Mean CCA"])
    assert "Procrustes, squared" in after.answer


def test_an_undefined_number_is_left_out_not_counted(before):
    table = before["indices"].table.set_index("index")
    assert table.loc["Mean CCA", "positions: strictly best"] == "52 of 52"
    assert table.loc["Mean squared CCA", "positions: strictly best"] == "54 of 54"


def test_one_model_alone_has_no_counterpart():
    order = {"A": LAYERS}
    only = synthetic.few_indices()
    only = only[(only["source_model"] == "A") & (only["target_model"] == "A")]
    assert "dm-own-layer" in found("self", only, order)
    assert found("correspondence", only, order) == {}


def test_best_sources_are_counted_beside_chance(before):
    table = before["best-source"].table.set_index(["by", "view"])
    row = table.loc["Procrustes, squared", "pooled"]
    assert (row["targets"], row["exact"], row["within ±1"], row["tied"]) == (54, 1.0, 1.0, 0)
    # Of nine sources one is right; two are near at either end, three elsewhere.
    assert row["exact by chance"] == pytest.approx(1 / 9)
    assert row["within ±1 by chance"] == pytest.approx((2 * 2 + 7 * 3) / 81)
    assert row["depth ρ"] == pytest.approx(1.0)


def test_an_index_that_finds_nothing_is_told_from_none(results):
    """The claim that any index finds the corresponding layer is false for one that is turned around."""
    pooled = results[
        results["method"].isna() & results["view"].eq("pooled") & results["index"].isin(["cka", "cca"])
    ]
    pooled = pooled.copy()
    pooled.loc[pooled["index"] == "cca", "value"] *= -1
    after = found("correspondence", pooled)["best-source"]
    assert after.answer.endswith("Not told from chance: Mean CCA (pooled).")
    by = {effect.what: effect for effect in after.effects}
    assert by["share within ±1 by Linear CKA, debiased (pooled)"].low > 25 / 81
    assert by["share within ±1 by Mean CCA (pooled)"].value == 0


def test_networks_of_other_depth_correspond_by_stages():
    order = {"A": LAYERS, "deep": (*LAYERS, "layer3.3")}
    stages = {"A": [0, 0, 0, 1, 1, 1, 2, 2, 2], "deep": [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]}
    frame = synthetic.results(order=order, views=("pooled",), stitches=False)
    frame = frame[frame["index"] == "cka"]
    assert "best-source" not in found("correspondence", frame, order)
    after = found("correspondence", frame, order, stages=stages)["best-source"]
    row = after.table.iloc[0]
    assert row["targets"] == 19
    assert row["same stage"] == pytest.approx(after.detail["same stage"].mean())
    # Sources of nine layers in three equal stages, and of ten in stages of three, three and four.
    chance = (10 * (1 / 3) + 3 * 0.3 + 3 * 0.3 + 3 * 0.4) / 19
    assert row["same stage by chance"] == pytest.approx(chance)
    assert "exact" not in after.table


def test_ties_never_count_against_the_corresponding_layer(results):
    level = results[results["method"].isna() & results["view"].eq("pooled") & results["index"].eq("cka")]
    after = found("correspondence", level.assign(value=0.5))["best-source"]
    row = after.table.iloc[0]
    assert (row["exact"], row["tied"]) == (1.0, 54)


def test_family_wise_p_values_are_counted_where_they_are(results):
    known = results[results["method"].isna() & results["view"].eq("pooled") & results["index"].eq("cka")]
    known = known.assign(p_family=[0.01 if model == "A" else 0.2 for model in known["target_model"]])
    row = found("correspondence", known)["best-source"].table.iloc[0]
    assert row["family-wise p < 0.05"] == "18 of 54"
