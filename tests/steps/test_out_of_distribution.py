"""Detectors in a sweep: trained once per target, found again, the same every time, and what they are told by."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.cli.plan_tables import describe
from stitchpipe.config import ConfigError, parse
from stitchpipe.graph import LOGITS, tail
from stitchpipe.ood import (
    OF_THE_DETECTOR,
    SCORES,
    EnergyDetector,
    Observer,
    TargetReference,
    native_of,
    observe,
)
from stitchpipe.results import map_of
from stitchpipe.run import Run
from stitchpipe.steps.forecast import forecast
from stitchpipe.steps.stitching import distribution
from stitchpipe.steps.stitching.foreign_images import foreign_images
from stitchpipe.stitching import CLASS_ACCURACY, FIDELITY, StitchingLayer
from storage import CorruptError

DETECTED = """
name = "detected"
[data]
kind = "digits"
limit = 160
[dump]
layers = ["layer?.0"]
row_groups = 5
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1], widths = [4, 6] }
train = { epochs = 1, seed = 0 }
[[stitch]]
method = "tlm"
sources = ["A/*"]
targets = ["A/layer1.0"]
steps = 3
[ood.detector]
epochs = 1
finetune_epochs = 1
images = 48
"""
TARGET = ("A", "layer1.0")

pytestmark = pytest.mark.usefixtures("undrawn")


def read(text, folder):
    return parse(text, where="test", folder=folder)


def results(run):
    frame = run.results.read()
    return frame.sort_values(["source_layer", "index"], ignore_index=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The run, the record of its stitches, and what was told of them."""
    root = tmp_path_factory.mktemp("detected")
    run = Run.open(read(DETECTED, root), root / "run")
    steps.train(run, "A")
    for split in ("train", "test"):
        steps.dump(run, "A", split)
    told = []
    record = steps.stitch(run, *TARGET, report=lambda done, total: told.append((done, total)))
    return run, record, told


@pytest.fixture(scope="module")
def run(finished):
    return finished[0]


@pytest.fixture
def copied(run, tmp_path):
    """The run without its stitches."""
    shutil.copytree(run.place.url, tmp_path / "run")
    copy = Run.open(run.sweep, tmp_path / "run")
    for part in copy.place.files.listing("results"):
        copy.place.files.remove(part.name)
    return copy


def other(run, sweep):
    """Open another sweep in the place of a run."""
    return Run.open(sweep, run.place)


def detectors(run):
    return run.place.files.listing("detectors")


def detector(run):
    """Return the only detector of a run."""
    (file,) = detectors(run)
    return EnergyDetector.of_bytes(run.place.files.read(file), where=file.name)


def test_the_plan_counts_detectors(run, untimed):
    assert forecast(run).detectors == len(detectors(run)) == 1
    shown = Console(width=200, record=True)
    shown.print(describe(run))
    assert "1, one for each target layer: 1 + 1 epochs on 48 images" in shown.export_text()
    without = read(DETECTED[: DETECTED.index("[ood.detector]")], Path(run.place.url))
    assert forecast(other(run, without)).detectors == 0


def test_every_statistic_stands_beside_the_accuracies(finished):
    run, record, told = finished
    found = results(run)
    names = {*FIDELITY, *SCORES.own, *OF_THE_DETECTOR}
    for layer in ("layer1.0", "layer2.0"):
        one = found[found["source_layer"] == layer].set_index("index")
        assert {name for name in one.index if not name.startswith(CLASS_ACCURACY.name)} == names
        assert (one["status"] == "ok").all()
        assert np.isfinite(one["value"]).all()
        assert one.loc["ood_detector", "value"] == abs(2 * one.loc["ood_detector", "auroc"] - 1)
        assert one.loc["ood_detector", "warned"] in (0, 1)
        assert (one.loc[["ood_mahalanobis", "ood_energy"], "auroc"].notna()).all()
        assert one.loc["ood_frechet", "floor"] > 0
        assert one["key"].nunique() == 1
        assert run.results.has(one["key"].iloc[0])
    assert record["made"] == 2
    assert told[:3] == [(0, 8), (1, 8), (2, 8)]  # epochs of the detector, then steps and maps
    assert told[-1] == (8, 8)
    assert len(detectors(run)) == 1


def test_energies_are_those_of_the_stitched_network_run_by_hand(run):
    opened, files = sp.open(run.place.url), run.place.files
    source, target = (opened.activations(f"A/layer{k}.0") for k in (2, 1))
    native = opened.activations(f"A/{LOGITS}").values
    rest = tail(run.networks.loaded("A"), "layer1.0")
    wanted = set()
    for file in files.listing("maps"):
        fitted = map_of(files.read(file), where=file.name)
        if fitted.W.shape == (4, 6):
            layer = StitchingLayer.from_map(source.shape[1:], target.shape[1:], fitted)
            with torch.inference_mode():
                logits = rest(layer(torch.from_numpy(np.array(source.values, dtype="float32")))).numpy()
            scores = np.r_[-logsumexp(native, axis=1), -logsumexp(logits, axis=1)]
            wanted.add(round(roc_auc_score(np.repeat([0, 1], len(native)), scores), 3))
    found = results(run)
    one = found[(found["source_layer"] == "layer2.0") & (found["index"] == "ood_energy")].iloc[0]
    assert round(one["auroc"], 3) in wanted


def test_a_detector_is_trained_once_and_found_again(run, copied, monkeypatch):
    monkeypatch.setattr(distribution, "train_detector", None)  # calling it would fail
    assert steps.stitch(copied, *TARGET)["made"] == 2
    columns = ["source_layer", "index", "value", "status", "reason"]
    assert results(copied)[columns].equals(results(run)[columns])
    assert detectors(copied) == detectors(run)


def test_an_interrupted_training_leaves_nothing_and_is_the_same_the_next_time(run, copied):
    for file in detectors(copied):
        copied.place.files.remove(file.name)

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps.stitch(copied, *TARGET, report=stop)
    assert not detectors(copied)
    steps.stitch(copied, *TARGET)
    assert detectors(copied) == detectors(run)  # names, and digests of their bytes


def test_a_damaged_detector_is_refused_with_the_way_out(run, copied):
    (file,) = detectors(copied)
    (Path(copied.place.url) / file.key).write_bytes(b"torn")
    with pytest.raises(CorruptError, match="Repair"):
        steps.stitch(copied, *TARGET)


def test_a_detector_of_other_settings_is_another(run, copied, tmp_path):
    seeded = read(DETECTED.replace("images = 48", "images = 48\nseed = 1"), tmp_path)
    assert steps.stitch(other(copied, seeded), *TARGET)["made"] == 2
    assert len(detectors(copied)) == 2


def test_a_training_that_diverges_costs_only_its_own_numbers(run, copied, tmp_path):
    wild = read(DETECTED.replace("images = 48", "images = 48\nlearning_rate = 1e25\nepochs = 3").replace(
        "epochs = 1\nfinetune", "finetune"), tmp_path)  # fmt: skip
    steps.stitch(other(copied, wild), *TARGET)
    found = results(copied)
    status = found.groupby("index")["status"].unique().map(list).to_dict()
    assert all(status[name] == ["diverged"] for name in OF_THE_DETECTOR)
    assert all(status[name] == ["ok"] for name in status if name not in OF_THE_DETECTOR)
    assert len(detectors(copied)) == 1


def test_a_detector_that_is_one_sided_wrong_is_logged_and_counted(run, copied, monkeypatch):
    """As one that learned nothing would be of representations that have less energy than all native ones."""
    (file,), trained, files = detectors(copied), detector(copied), copied.place.files
    wrong = EnergyDetector(trained.network, trained.native + 1e3, 0.99, trained.training)
    files.remove(file.name)
    files.write(file.name, ".safetensors", wrong.to_bytes())
    told = []
    monkeypatch.setattr(distribution.logger, "warning", lambda text, *values: told.append(text % values))
    assert steps.stitch(copied, *TARGET)["warnings"] == 2
    assert len(told) == 2
    assert told[0].startswith("A/layer1.0 -> A/layer1.0: the detector passed its sanity check")
    found = results(copied)
    assert (found.loc[found["index"] == "ood_detector", "warned"] == 1).all()


def other_images(folder, shape):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        np.savez(folder / f"{split}.npz", images=rng.integers(0, 256, (30, *shape), dtype=np.uint8))
    files = 'files = { train = "train.npz", test = "test.npz" }'
    return DETECTED + f'sanity = {{ kind = "arrays", name = "other", {files} }}\n'


def test_a_data_set_serves_as_foreign_images_and_its_content_is_part_of_the_key(run, copied, tmp_path):
    declared = other_images(tmp_path, (8, 8))
    with_images = other(copied, read(declared, tmp_path))
    images = foreign_images(with_images, "sanity")
    assert images.count == 30
    assert images.batch([0, 29]).shape == (2, 1, 8, 8)
    before = set(detectors(copied))
    assert steps.stitch(with_images, *TARGET)["made"] == 2
    (file,) = set(detectors(copied)) - before
    trained = EnergyDetector.of_bytes(copied.place.files.read(file), where=file.name)
    assert 0.0 <= trained.sanity_auroc <= 1.0


def test_foreign_images_of_another_shape_are_refused(run, copied, tmp_path):
    sweep = read(other_images(tmp_path, (9, 9)), tmp_path)
    with pytest.raises(ConfigError, match=r"ood.detector.sanity.*\(1, 8, 8\).*\(1, 9, 9\).*size"):
        steps.stitch(other(copied, sweep), *TARGET)


def test_the_report_shows_the_detector_of_a_sweep_that_only_stitches(run, tmp_path):
    shutil.copytree(run.place.url, tmp_path / "run")
    record = steps.report(Run.open(run.sweep, tmp_path / "run"))
    assert (record["pairs_missing"], record["stitches_missing"]) == (0, 0)
    page = (tmp_path / "run" / "report" / "index.html").read_text("utf-8")
    for words in ("AUROC 0.", "trained detector", "finetune epochs"):
        assert words in page


def test_blocks_are_looked_at_once_and_not_kept():
    rng = np.random.default_rng(0)
    native, logits = rng.standard_normal((40, 3, 4, 4)), rng.standard_normal((40, 5))
    reference = TargetReference(native_of(observe([native]), observe([native]), logits=logits))
    watch = distribution.Watch(reference, Observer(), None)
    passed = []

    def blocks():
        for part in np.split(native.astype("float32"), 4):
            block = torch.from_numpy(part.copy())
            passed.append(weakref.ref(block))
            yield block
            del block
            assert all(one() is None for one in passed[:-1])

    for block in watch.seen(blocks()):
        assert block.shape == (10, 3, 4, 4)
    assert len(passed) == 4
    found = watch.scores(logits)
    assert found["ood_energy"].value == pytest.approx(0.0, abs=1e-12)
    assert found["ood_frechet"].value == pytest.approx(0.0, abs=1e-9)


def test_generated_images_differ_by_role_and_repeat(run):
    own = run.data.splits["train"].batch([0, 1])
    first, again = (foreign_images(run, "auxiliary").batch([0, 1]) for _ in range(2))
    assert first.shape == own.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, foreign_images(run, "sanity").batch([0, 1]))
