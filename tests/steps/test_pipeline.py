"""The whole pipeline on a tiny sweep: the numbers are those of the definitions, and nothing is done twice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.config import ConfigError, parse
from stitchpipe.ood import SCORES
from stitchpipe.rows import to_rows
from stitchpipe.run import Run
from stitchpipe.steps.claimed import may_pass
from stitchpipe.stitching import UnfittedError
from tests import oracles
from tests.tiny_sweep import TINY

LAYERS = ["layer1.0", "layer2.0", "layer3.0"]

pytestmark = pytest.mark.usefixtures("undrawn")


def rows_of(run, model, layer, split, view, grid=None):
    block = sp.open(run.root).activations(f"{model}/{layer}", split=split).values
    return to_rows(block, view, grid)


def number(results, index, view, source, target, **where):
    chosen = results[
        (results["index"] == index)
        & (results["view"] == view)
        & (results["source_model"] == source[0])
        & (results["source_layer"] == source[1])
        & (results["target_model"] == target[0])
        & (results["target_layer"] == target[1])
    ]
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


def feature_cka(x, y):
    """Kornblith et al. 2019, in feature form: 28,800 rows are too many for the oracle's Gram matrices."""
    x, y = x - x.mean(0), y - y.mean(0)
    return ((x.T @ y) ** 2).sum() / np.sqrt(((x.T @ x) ** 2).sum() * ((y.T @ y) ** 2).sum())


@pytest.fixture(scope="module")
def results(tiny):
    return sp.open(tiny.root).results()


def test_every_directed_pair_has_one_number_per_index(results):
    compared = results[results["method"].isna()]
    assert len(compared) == 6 * 6 * (9 + 6) + 2 * 2  # agreement is one of models
    assert not compared.duplicated(
        ["index", "view", "source_model", "source_layer", "target_model", "target_layer"]
    ).any()
    assert set(results["status"]) == {"ok"}
    assert np.isfinite(results["value"]).all()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (("org/B", "layer3.0"), ("A", "layer1.0")),
        (("A", "layer1.0"), ("org/B", "layer2.0")),
        (("A", "layer2.0"), ("org/B", "layer2.0")),
    ],
)
def test_out_of_core_numbers_are_those_of_the_oracle(tiny, results, source, target):
    grid = {"layer1.0": (8, 8), "layer2.0": (4, 4), "layer3.0": (2, 2)}[target[1]]
    x, y = (rows_of(tiny, *name, "test", "positions", grid) for name in (source, target))
    fit_x, fit_y = (rows_of(tiny, *name, "train", "positions", grid) for name in (source, target))
    weights, *_ = np.linalg.lstsq(np.c_[fit_x, np.ones(len(fit_x))], fit_y, rcond=None)
    residual = ((np.c_[x, np.ones(len(x))] @ weights - y) ** 2).sum()
    expected = {
        "cka_biased": feature_cka(x, y),
        "procrustes": oracles.procrustes(x, y),
        "cca": oracles.cca(x, y),
        "dm_r2": 1 - residual / ((y - y.mean(0)) ** 2).sum(),
        "dm_struct": residual / (y**2).sum(),
    }
    for index, value in expected.items():
        found = number(results, index, "positions", source, target)
        assert found["value"] == pytest.approx(value, rel=1e-7), index
        assert (found["n_samples"], found["n_rows"]) == (450, len(x))
        assert (found["p"], found["q"]) == (x.shape[1], y.shape[1])
    pooled = [rows_of(tiny, *name, "test", "pooled") for name in (source, target)]
    found = number(results, "cka", "pooled", source, target)
    assert found["value"] == pytest.approx(oracles.cka(*pooled), rel=1e-8)
    assert found["grid"] == "1x1"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_matches_itself(results, layer):
    same = ("A", layer), ("A", layer)
    assert number(results, "dm_struct", "positions", *same)["value"] <= 1e-6
    assert number(results, "dm_r2", "positions", *same)["value"] == pytest.approx(1.0, abs=1e-6)
    assert number(results, "cka", "pooled", *same)["value"] == pytest.approx(1.0, abs=1e-12)
    assert number(results, "procrustes", "pooled", *same)["value"] == pytest.approx(0.0, abs=1e-7)
    stitched = number(results, "stitch_relative_accuracy", "positions", *same, method="dm")
    assert stitched["value"] == 1.0
    assert number(results, "ood_frechet", "positions", *same, method="dm")["value"] == pytest.approx(
        0, abs=1e-6
    )


def test_a_stitched_accuracy_is_that_of_the_network_run_by_hand(tiny, results):
    """Head of B, the least-squares map, tail of A — from the images, without the store."""
    run = tiny.run

    from stitchpipe.graph import extractor, tail

    data = run.data.splits
    nets = {name: run.networks.loaded(name) for name in ("A", "org/B")}
    halves = {}
    for split in ("train", "test"):
        images = data[split].batch(range(len(data[split].sample_ids)))
        halves[split] = [
            extractor(nets[name], [layer])(images)[layer].numpy()
            for name, layer in (("org/B", "layer2.0"), ("A", "layer1.0"))
        ]
    x, y = (to_rows(block, "positions", (8, 8)) for block in halves["train"])
    fitted = sp.algebra.direct_matching(x, y, storage_eps=2**-23)
    mapped = fitted.predict(to_rows(halves["test"][0], "positions", (8, 8)))
    mapped = mapped.reshape(450, 8, 8, 4).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.inference_mode():
        logits = tail(nets["A"], "layer1.0")(torch.from_numpy(mapped)).numpy()
    by_hand = (logits.argmax(1) == data["test"].labels).mean()
    found = number(
        results, "stitch_accuracy", "positions", ("org/B", "layer2.0"), ("A", "layer1.0"), method="dm"
    )
    assert found["value"] == pytest.approx(by_hand, abs=1.01 / 450)  # one image may sit on the boundary


def test_trained_stitches_record_their_budget(results):
    trained = results[(results["method"] == "tlm") & (results["index"] == "stitch_accuracy")]
    assert len(trained) == 3 * 3 + 2
    assert set(trained["steps"]) == {12}
    assert set(trained["objective"]) == {"hard_labels"}
    assert (trained["final_loss"] > 0).all()
    assert set(trained["seed"]) == {0}
    assert set(trained["init"]) == {"random", "identity", "dm"}


def test_a_second_run_does_nothing_and_changes_nothing(tiny, results):
    def seen():
        files = [*tiny.root.rglob("*.parquet"), *(tiny.root / "store.zarr").rglob("*")]
        return {path: path.stat().st_mtime_ns for path in files if path.is_file()}

    before, run = seen(), tiny.run
    units = steps.units(run)
    assert [steps.dump(run, *dump)["sealed"] for dump in units.dumps] == [True] * 4
    assert [steps.compare(run, view)["computed"] for view in units.views] == [0, 0]
    assert steps.fit_maps(run) == {"maps": 0}
    assert sum(steps.stitch(run, *target)["made"] for target in units.targets) == 0
    assert before == seen()


def test_what_is_lost_is_made_again_and_nothing_else(tiny, results, tmp_path, cluster):
    run = tiny.copy(tmp_path / "run")
    files = run.place.files
    parts = files.listing("results")
    for part in (parts[0], parts[-1]):
        files.remove(part.name)
    kept = parts[1:-1]
    written = {part.key: (tmp_path / "run" / part.key).stat().st_mtime_ns for part in kept}
    for view in steps.units(run).views:
        steps.compare(run, view, cluster=cluster)
    for target in steps.units(run).targets:
        steps.stitch(run, *target)
    assert written == {part.key: (tmp_path / "run" / part.key).stat().st_mtime_ns for part in kept}
    names = ["key", "source_layer", "target_layer", "index", "method", "init", "source_model"]
    made, before = (frame.sort_values(names, ignore_index=True) for frame in (run.results.read(), results))
    pd.testing.assert_frame_equal(
        made, before, rtol=1e-9, atol=1e-12
    )  # other products beside them: last digits


def test_stitching_needs_no_weights_of_the_source(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    files = run.place.files
    for file in [*files.listing("results"), *files.listing("models/org/B")]:
        if file.name.startswith(("results/stitch-", "models/org/B/weights-")):
            files.remove(file.name)
    assert not files.listing("models/org/B")
    assert steps.stitch(run, "A", "layer1.0")["made"] > 0


def test_a_map_that_was_not_fitted_is_said_and_may_be_fitted_later(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    files = run.place.files
    for file in [*files.listing("results"), *files.listing("maps")]:
        files.remove(file.name)
    model, layer = next(iter(steps.units(run).mapped))
    with pytest.raises(UnfittedError, match="expected its least-squares map.*Run the sweep again") as raised:
        steps.stitch(run, model, layer)
    assert may_pass(raised.value)


def test_other_weights_under_the_same_name_are_another_representation(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    changed = parse(TINY.replace("seed = 1", "seed = 2"), where="changed", folder=tmp_path)
    other = Run.open(changed, run.place)
    with pytest.raises(ConfigError, match="another declaration"):
        steps.compare(other, "pooled")
    before = steps.dump(run, "org/B", "test")["fingerprint"]
    steps.train(other, "org/B")
    record = steps.dump(other, "org/B", "test")
    assert record["fingerprint"] != before
    assert record["row_groups_written"] > 0
    with pytest.raises(ConfigError, match="dump"):
        steps.compare(other, "pooled")  # its training split is still the old one


def test_the_report_speaks_of_this_sweep_alone(tiny, tmp_path):
    place = tiny.copy(tmp_path / "run").place
    shorter = parse(TINY.split('[[stitch]]\nmethod = "tlm"')[0], where="shorter", folder=tmp_path)
    record = steps.report(Run.open(shorter, place))
    assert record["numbers"] == 6 * 6 * (9 + 6) + 2 * 2 + 6 * 3 * (4 + len(SCORES.own) + 10)
    assert len(place.files.read_published("report", "index.html")) > 10_000


def test_a_report_without_results_is_refused(tiny, tmp_path):
    run = tiny.copy(tmp_path / "run")
    for part in run.place.files.listing("results"):
        run.place.files.remove(part.name)
    with pytest.raises(ConfigError, match="stitchpipe compare"):
        steps.report(run)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (('targets = ["A/*"]', 'targets = ["A/layer9*"]'), "layer9"),
        (('layers = ["layer?.0"]', 'layers = ["layr?.0"]'), "Did you mean"),
        (('architecture = "cifar_resnet"', 'architecture = "cifar_resnt"'), "cifar_resnet"),
        (('init = ["random", "identity", "dm"]', 'init = ["random"]'), None),
        (('pairs = "self"', 'pairs = "all"'), "equal width"),
        (('pairs = "self"', 'pairs = "corresponding"'), "at least one pair"),
    ],
)
def test_impossible_requests_are_refused_before_any_work(tmp_path, change, hint):
    run = Run.open(parse(TINY.replace(*change, 1), where="changed", folder=tmp_path), tmp_path / "run")
    if hint is None:
        steps.units(run)
    else:
        with pytest.raises(ValueError, match=hint):
            steps.units(run)
    assert not (tmp_path / "run").exists()
