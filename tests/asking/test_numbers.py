"""Questions about numbers: what they answer is what the whole table says, and what is no name is told in a sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stitchpipe.asking import Numbers, WorkspaceError, matrix, nearest, significant
from stitchpipe.asking.significant_pairs import closed_family
from stitchpipe.results import QueryError, table_of_records
from stitchpipe.run import RunPlace
from tests.asking.made_up_run import made_up
from tests.results.made_up import zoo_table


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    place = RunPlace.at(tmp_path_factory.mktemp("zoo"))
    for number in range(3):
        part = zoo_table(3, 2, ["cka", "procrustes", "agreement"], sources=slice(2 * number, 2 * number + 2))
        place.results.write(f"compare-{number}", part)
    return place


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("made-up"))


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(("measure", "ascending"), [("cka", False), ("procrustes", True)])
def test_the_nearest_layers_are_those_that_the_whole_table_says(zoo, side, measure, ascending):
    frame = nearest(zoo, "net001/features.1", measure=measure, side=side, top=3)
    table, other = zoo.results.read(), "target" if side == "source" else "source"
    is_it = (table[f"{side}_model"] == "net001") & (table[f"{side}_layer"] == "features.1")
    is_self = (table[f"{other}_model"] == "net001") & (table[f"{other}_layer"] == "features.1")
    expected = table[is_it & ~is_self & (table["index"] == measure)]
    expected = expected.sort_values("value", ascending=ascending).head(3)
    assert frame["value"].tolist() == expected["value"].tolist()
    assert frame["end"].tolist() == (expected[f"{other}_model"] + "/" + expected[f"{other}_layer"]).tolist()
    assert len(nearest(zoo, "net001/features.1", measure=measure, side=side, top=99)) == 5
    among = nearest(zoo, "net001/features.1", among=["net000", "net002/*.0"], measure=measure, side=side)
    assert set(among["end"]) == {"net000/features.0", "net000/features.1", "net002/features.0"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measure": "ckka"}, "Did you mean 'cka'"),
        ({"view": "flatten"}, "There is: pooled"),
        ({"end": "features.1"}, r"Say of which model: net000/features\.1"),
        ({"end": "net001/*"}, "which means 2. Say which: net001/features.0"),
        ({"end": "net01/features.1"}, "Did you mean 'net001/features.1'"),
        ({"among": "net9*"}, "Models are net000, net001, net002"),
        ({"among": "net001/features.1"}, "found none among 1 layers"),
        ({"top": 0}, "top of at least 1"),
    ],
)
def test_what_has_no_nearest_is_said(zoo, changes, words):
    with pytest.raises(WorkspaceError, match=words):
        nearest(zoo, **{"end": "net001/features.1", "measure": "cka", **changes})


def test_a_run_without_results_says_so(tmp_path):
    with pytest.raises(QueryError, match="Run a sweep"):
        nearest(RunPlace.at(tmp_path), "A/x")


def test_of_several_views_one_is_named(run):
    with pytest.raises(WorkspaceError, match="Say which, view='pooled' for example: pooled, positions"):
        matrix(run, "cca", "A", "B")


def test_a_matrix_is_in_network_order_and_says_what_it_is(run):
    values = matrix(run, "cca", "A", ["C", "B"], view="pooled")
    table = run.results.read()
    assert values.dims == ("source", "target")
    assert values["source"].values.tolist() == [f"A/layer{s}.{b}" for s in (1, 2, 3) for b in (0, 1, 2)]
    assert values["target"].values.tolist()[8:10] == ["B/layer3.2", "C/layer1.0"]
    rows = table[(table["index"] == "cca") & (table["view"] == "pooled")]
    for source, target in (("layer1.2", "layer3.0"), ("layer3.2", "layer1.0")):
        is_pair = (rows["source_layer"] == source) & (rows["target_layer"] == target)
        row = rows[is_pair & (rows["source_model"] == "A") & (rows["target_model"] == "B")]
        assert values.sel(source=f"A/{source}", target=f"B/{target}").item() == row["value"].item()
    told = values.attrs
    assert (told["label"], told["unit"], told["view"], told["n_samples"]) == ("Mean CCA", "1", "pooled", 450)
    assert told["direction"] == "larger is more similar"
    assert told["missing"] == 9
    reasons = values["reason"].sel(target="C/layer3.2").values.tolist()
    assert set(reasons) == {"constant: the target's features do not vary"}
    assert values["reason"].sel(target="B/layer3.2").values.tolist() == [""] * 9
    assert np.isnan(values.sel(target="C/layer3.2")).all()
    assert matrix(run, "procrustes_angle", "A", "B", view="pooled").attrs["unit"] == "rad"


def test_networks_are_sorted_as_people_do_and_layers_by_depth(tmp_path):
    place = RunPlace.at(tmp_path)
    place.results.write("compare-0", zoo_table(2, 12, ["cka"]))
    names = matrix(place, "cka", "net000", "net001")["target_layer"].values.tolist()
    assert names == [f"features.{number}" for number in range(12)]


def test_of_stitches_the_method_says_which(run):
    direct = matrix(run, "stitch_relative_accuracy", "A", "A", method="dm")
    np.testing.assert_array_equal(np.diag(direct), 1.0)
    assert direct.attrs["method"] == "dm"
    with pytest.raises(WorkspaceError, match="Say which: method='dm' for example; method is dm, tlm"):
        matrix(run, "stitch_relative_accuracy", "A", "A")
    with pytest.raises(WorkspaceError, match="found 3|found 2"):
        matrix(run, "stitch_relative_accuracy", "A", "A", method="tlm")
    assert matrix(run, "stitch_accuracy", "A", "A", method="tlm", init="identity").shape == (9, 9)


def test_a_matrix_draws_itself_with_every_cell_in_its_place(run):
    from matplotlib.figure import Figure

    values = matrix(run, "procrustes_angle", "A", ["B", "C"], view="pooled")
    axes = values.plot(Figure().add_subplot())
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), values.to_numpy())
    assert image.get_cmap().name == "viridis_r"
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["layer1.0", "layer1.1"]
    assert axes.get_xticks()[0] == 0
    assert [label.get_text() for label in axes.get_xticklabels()][9] == "C/layer1.0"
    assert axes.get_ylim() == (8.5, -0.5)
    picture = values.to_svg()
    assert picture.startswith("<svg")
    assert picture == matrix(run, "procrustes_angle", "A", ["B", "C"], view="pooled").to_svg()
    assert "<svg" in values._repr_html_()


def test_names_in_a_picture_stay_text(tmp_path):
    place = RunPlace.at(tmp_path)
    made = zoo_table(1, 2, ["cka"]).to_pylist()
    hostile = "<img src=x onerror=alert(1)>$a$"
    for row in made:
        row["source_layer"] = hostile if row["source_depth"] == 1 else row["source_layer"]
    place.results.write("compare-0", table_of_records(made))
    picture = matrix(place, "cka").to_svg()
    assert "<img" not in picture
    assert "&lt;img src=x onerror=alert(1)&gt;$a$" in picture


def test_numbers_are_chosen_step_by_step_and_read_when_they_are_asked_for(run):
    chosen = Numbers(run, ("cka",), "A/*", "B/layer1.?").where(view="pooled").filter("value > ?", 0.8)
    narrow = chosen.select("source_layer", "target_layer", "value")
    frame, table = narrow.to_pandas(), run.results.read()
    expected = table[
        (table["index"] == "cka")
        & (table["view"] == "pooled")
        & (table["source_model"] == "A")
        & (table["target_model"] == "B")
        & table["target_layer"].str.startswith("layer1")
        & (table["value"] > 0.8)
    ]
    expected = expected[["source_layer", "target_layer", "value"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(frame, expected)
    assert len(chosen) == len(expected) > 0
    assert len(narrow.head(2)) == 2
    assert f"{len(expected)} numbers" in chosen._repr_html_()
    seeds = Numbers(run).where(method="tlm", seed=[0, 1], init=None)
    assert len(seeds) == 0
    assert len(Numbers(run).where(method=None)) == table["method"].isna().sum()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda numbers: numbers.where(vew="pooled"), "Did you mean 'view'"),
        (lambda numbers: numbers.select("valu"), "Did you mean 'value'"),
        (lambda numbers: numbers.filter("valu > 1").to_arrow(), "valu"),
    ],
)
def test_a_column_that_is_none_is_said(run, act, words):
    with pytest.raises((WorkspaceError, QueryError), match=words):
        act(Numbers(run, ("cka",)))


def test_pairs_beyond_chance_are_told_once_for_both_directions(tmp_path):
    place = RunPlace.at(tmp_path)
    rows = zoo_table(2, 2, ["cka", "dm_r2"]).to_pylist()
    for row in rows:
        pair = sorted(
            [(row["source_model"], row["source_depth"]), (row["target_model"], row["target_depth"])]
        )
        if row["source_model"] != row["target_model"]:
            row |= {"p_family": 0.01 * (1 + pair[0][1] + 5 * pair[1][1]), "family": "models"}
    place.results.write("compare-0", table_of_records(rows))
    frame = significant(place, "cka", below=0.05)
    assert frame["p_family"].tolist() == [0.01, 0.02]
    assert set(frame["family"]) == {"models"}
    assert len(significant(place, "dm_r2", below=0.05)) == 4
    assert set(significant(place, "dm_r2", "net000", "net001")["source"]) == {
        "net000/features.0",
        "net000/features.1",
    }
    with pytest.raises(WorkspaceError, match="family-wise p-values, found none"):
        significant(place, "cka", "net000", "net000")


def test_without_permutations_pairs_are_adjusted_over_all_layers_of_two_models(tmp_path):
    """Holm over 4 pairs of two models of 2 layers, though one target alone is asked for."""
    place = RunPlace.at(tmp_path)
    rows = zoo_table(2, 2, ["cka", "procrustes"]).to_pylist()
    for row in rows:
        if row["index"] == "cka":
            first, second = sorted((row["source_depth"], row["target_depth"]))
            row |= {"p_closed": (0.001, 0.02, 0.3)[first + second], "effect_size": 9.0 - first - second}
    place.results.write("compare-0", table_of_records(rows))
    frame = significant(place, "cka", target="net001/features.0", below=0.5)
    assert frame["p_holm"].tolist() == pytest.approx([4 * 0.001, 3 * 0.02])
    assert frame["target"].unique().tolist() == ["net001/features.0"]
    assert set(frame["family"]) == {"models"}
    assert significant(place, "cka", null="closed")["p_holm"].tolist() == pytest.approx([0.004])
    with pytest.raises(WorkspaceError, match="permuted null: expected family-wise p-values, found none"):
        significant(place, "cka", null="permuted")
    with pytest.raises(WorkspaceError, match="found none"):
        significant(place, "procrustes")


def test_a_family_too_large_for_a_closed_form_says_so():
    assert closed_family(100) == "models"
    assert "625 pairs: too many for a closed form" in closed_family(625)
