"""Numbers of single layers through a whole run: computed once, kept, asked by SQL and in Python, or refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stitchpipe import engine, steps
from stitchpipe.asking import WorkspaceError, open_workspace
from stitchpipe.config import ConfigError, parse
from stitchpipe.data import DataError
from stitchpipe.engine.single_layers import LayerTask, LayerWork, measure_layer
from stitchpipe.rows import to_rows
from stitchpipe.run import Run
from stitchpipe.run.names import TEST, TRAIN, LayerName
from tests import oracles, oracles_optimised
from tests.report.read_page import Page
from tests.tiny_sweep import TINY

POOLED = ("participation_ratio", "effective_rank", "spectrum_exponent", "two_nn", "linear_probe")
MEASURES = {"pooled": POOLED, "positions": ("participation_ratio",)}
LAYER = LayerName("org/B", "layer2.0")


def asking_for(sweep, measures):
    tables = [
        table.model_copy(update={"layer_measures": measures.get(table.view, ())}) for table in sweep.compare
    ]
    return sweep.model_copy(update={"compare": tuple(tables)})


@pytest.fixture(scope="module")
def measured(tiny, cluster, tmp_path_factory) -> Run:
    """A copy of the tiny run, with measures of layers under both of its views."""
    root = tmp_path_factory.mktemp("measured") / "run"
    tiny.copy(root)
    run = Run.open(asking_for(tiny.sweep, MEASURES), root)
    done = steps.compare(run, cluster=cluster)
    assert (done["computed"], done["numbers"], done["layer_numbers"]) == (0, 0, 6 * 6)
    return run


def rows_of(run, split, view="pooled"):
    stored = run.activations.layer(LAYER, split)
    return to_rows(stored.read_rows(np.arange(stored.shape[0])), view), stored.split.labels


def value(run, measure, view="pooled"):
    frame = open_workspace(run.place.url).layer_numbers(measure, layers=str(LAYER), view=view)
    (row,) = frame.to_dict("records")
    return row


def test_numbers_are_those_of_the_stored_rows(measured):
    rows, labels = rows_of(measured, TEST)
    assert value(measured, "participation_ratio")["value"] == pytest.approx(
        oracles.participation_ratio(rows), rel=1e-9
    )
    assert value(measured, "effective_rank")["value"] == pytest.approx(oracles.effective_rank(rows), rel=1e-9)
    row = value(measured, "two_nn")
    assert row["value"] == pytest.approx(oracles.two_nn(rows), rel=1e-9)
    assert row["standard_error"] == pytest.approx(row["value"] / np.sqrt(len(rows)))
    assert (row["n_samples"], row["n_rows"], row["p"], row["depth"]) == (len(rows), len(rows), 6, 1)
    train, of_train = rows_of(measured, TRAIN)
    told = oracles_optimised.logistic_probe(train, of_train, rows, 1.0)
    accuracy = value(measured, "linear_probe")["value"]
    assert accuracy == pytest.approx(np.mean(told == labels), abs=1.5 / len(rows))
    assert 0.2 < accuracy < 1.0
    places, _ = rows_of(measured, TEST, "positions")
    row = value(measured, "participation_ratio", "positions")
    assert row["value"] == pytest.approx(oracles.participation_ratio(places), rel=1e-9)
    assert row["n_rows"] == len(places) > row["n_samples"]


def test_a_narrow_layer_has_a_status_and_a_reason_in_place_of_an_exponent(measured):
    row = value(measured, "spectrum_exponent")
    assert np.isnan(row["value"])
    assert row["status"] == "too_few_directions"
    assert row["reason"] == "expected at least 20 directions above rounding, found 6"


def test_nothing_is_computed_twice_and_a_new_measure_alone_is_added(measured, tiny, cluster, tmp_path):
    again = steps.compare(Run.open(measured.sweep, measured.place), cluster=cluster)
    assert again["layer_numbers"] == 0
    run = tiny.copy(tmp_path / "run")
    less = asking_for(run.sweep, {"pooled": ("participation_ratio",)})
    assert steps.compare(Run.open(less, run.place), cluster=cluster)["layer_numbers"] == 6
    more = asking_for(run.sweep, {"pooled": ("participation_ratio", "linear_probe")})
    assert steps.compare(Run.open(more, run.place), cluster=cluster)["layer_numbers"] == 6
    ours, whole = (
        open_workspace(each.place.url).layer_numbers("participation_ratio") for each in (run, measured)
    )
    whole = whole[whole["view"] == "pooled"].reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, whole, check_exact=True)


def test_sql_knows_the_table(measured):
    workspace = open_workspace(measured.place.url)
    frame = workspace.query(
        "SELECT model, layer, value FROM layers WHERE measure = 'participation_ratio' AND view = 'pooled' "
        "ORDER BY model, depth"
    )
    assert list(zip(frame["model"], frame["layer"], strict=True)) == [
        (model, f"layer{stage}.0") for model in ("A", "org/B") for stage in (1, 2, 3)
    ]
    told = workspace.query("SELECT comment FROM duckdb_columns() WHERE table_name = 'layers'")
    assert told["comment"].notna().all()
    # The results are pairs of layers, as before.
    assert (
        workspace.query("SELECT count(*) AS n FROM results WHERE index IN ('two_nn', 'linear_probe')")["n"][0]
        == 0
    )


def test_names_that_are_none_are_refused(measured, tiny):
    workspace = open_workspace(measured.place.url)
    assert len(workspace.layer_numbers(layers="A/*", view="pooled")) == 3 * 5
    with pytest.raises(WorkspaceError, match="Did you mean 'two_nn'"):
        workspace.layer_numbers("two_mm")
    with pytest.raises(WorkspaceError, match=r"layer9\.0"):
        workspace.layer_numbers(layers="A/layer9.0")
    assert open_workspace(tiny.root).layer_numbers().empty


def test_what_does_not_fit_is_a_number_that_is_missing(measured):
    end = measured.activations.ends([LAYER])[LAYER]
    layer = engine.LayerShape(
        LAYER.model, LAYER.layer, (end.train.fingerprint, end.test.fingerprint), end.test.shape[1:], 4
    )
    splits = tuple(
        engine.SplitShape(side.address.dataset, side.address.split, side.row_groups)
        for side in (end.train, end.test)
    )
    resources = engine.TaskResources(measured.store, measured.writable_summaries())
    work = LayerWork(resources, (layer,), splits, room_bytes=8 * 6 * 18 * 4)
    found = measure_layer(work, LayerTask(0, "pooled", ("two_nn", "participation_ratio")))
    assert found.numbers["two_nn"].status == "too_large"
    assert list(found.numbers) == ["two_nn", "participation_ratio"]
    assert found.numbers["participation_ratio"].value == value(measured, "participation_ratio")["value"]


def test_wide_layers_are_held_as_rows(measured):
    """576 values of fewer images: as many directions as images less one."""
    end = measured.activations.ends([LAYER])[LAYER]
    layer = engine.LayerShape(LAYER.model, LAYER.layer, ("", end.test.fingerprint), end.test.shape[1:], 4)
    split = engine.SplitShape(end.test.address.dataset, end.test.address.split, end.test.row_groups)
    work = LayerWork(
        engine.TaskResources(measured.store, measured.writable_summaries()), (layer,), (split, split), 2**30
    )
    found = measure_layer(work, LayerTask(0, "flatten", ("participation_ratio", "spectrum_exponent")))
    rows, _ = rows_of(measured, TEST, "flatten")
    assert found.p == rows.shape[1]
    assert found.numbers["participation_ratio"].value == pytest.approx(
        oracles.participation_ratio(rows), rel=1e-9
    )


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (('view = "pooled"', 'view = "pooled"\nlayer_measures = ["two_mm"]'), "Did you mean 'two_nn'"),
        (('view = "positions"', 'view = "positions"\nlayer_measures = ["two_nn"]'), "one row for each image"),
        (('view = "pooled"', 'view = "pooled"\nlayer_measures = ["two_nn", "two_nn"]'), "more than once"),
    ],
)
def test_a_sweep_that_asks_for_what_cannot_be_is_refused(change, found, tmp_path):
    with pytest.raises(ConfigError, match=found):
        parse(TINY.replace(*change), where="tiny.toml", folder=tmp_path)


def test_a_probe_of_images_without_labels_is_refused_before_any_work(tmp_path):
    images = np.zeros((40, 1, 8, 8), np.float32)
    for split in ("train", "test"):
        np.save(tmp_path / f"{split}.npy", images)
    text = TINY[: TINY.index("[[stitch]]")].replace(
        'kind = "digits"',
        f'kind = "arrays"\nfiles = {{ train = "{tmp_path}/train.npy", test = "{tmp_path}/test.npy" }}',
    )
    text = text.replace("train = { epochs = 2, seed = 0 }", "untrained = true").replace(
        "train = { epochs = 2, seed = 1 }", "untrained = true"
    )
    text = text.replace('view = "pooled"', 'view = "pooled"\nlayer_measures = ["linear_probe"]')
    run = Run.open(parse(text, where="tiny.toml", folder=tmp_path), tmp_path / "run")
    with pytest.raises(DataError, match="linear_probe"):
        run.data.demand_labels()


def test_the_page_has_the_numbers_that_the_sweep_asks_for_and_no_others(measured):
    sweep = asking_for(measured.sweep, {"pooled": ("participation_ratio", "spectrum_exponent")})
    run = Run.open(sweep, measured.place.url)
    steps.report(run)
    ratio, exponent = Page(run.place.files.read_published("report", "index.html").decode()).about["layers"]
    assert (ratio["measure"], ratio["view"]) == ("participation_ratio", "pooled")
    assert [line["model"] for line in ratio["lines"]] == ["A", "org/B"]
    line = ratio["lines"][1]
    assert (line["layers"], line["depths"]) == (["layer1.0", "layer2.0", "layer3.0"], [0, 0.5, 1])
    assert line["values"][1] == pytest.approx(value(measured, "participation_ratio")["value"], rel=1e-6)
    assert exponent["lines"][0]["values"] == [None] * 3
    assert exponent["reason"].startswith("expected at least 20 directions")
