"""Detectors in a sweep: trained once per target, found again, the same every time, and what they are told by."""

from __future__ import annotations

import shutil
import weakref

import numpy as np
import pytest
import torch
from rich.console import Console
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import stitchpipe as sp
from stitchpipe import sweep as steps
from stitchpipe.config import ConfigError, parse
from stitchpipe.graph import LOGITS, tail
from stitchpipe.ood import DetectorFileError, EnergyDetector, Scores, TargetReference, observe
from stitchpipe.ood.energy_detector import NAMES
from stitchpipe.results import read_map
from stitchpipe.stitching import CLASS_ACCURACY, FIDELITY, StitchingLayer
from stitchpipe.sweep import out_of_distribution
from stitchpipe.sweep.dumping import load_network
from stitchpipe.sweep.foreign_images import foreign_images
from stitchpipe.sweep.networks import splits
from stitchpipe.sweep.planning import describe, forecast

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


def read(text, folder):
    return parse(text, where="test", folder=folder)


def results(folder):
    frame = sp.open(folder.root).results()
    return frame.sort_values(["source_layer", "index"], ignore_index=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("detected")
    sweep, folder = read(DETECTED, root), steps.Folder(root / "run")
    steps.train(sweep, folder, "A")
    for split in ("train", "test"):
        steps.dump(sweep, folder, "A", split)
    told = []
    record = steps.stitch(sweep, folder, *TARGET, report=lambda done, total: told.append((done, total)))
    return sweep, folder, record, told


@pytest.fixture
def copied(run, tmp_path):
    """The run without its stitches."""
    shutil.copytree(run[1].root, tmp_path / "run")
    folder = steps.Folder(tmp_path / "run")
    for part in (folder.root / "results").glob("*.parquet"):
        part.unlink()
    return folder


def detectors(folder):
    return sorted((folder.root / "detectors").glob("*.safetensors"))


def test_the_plan_counts_detectors(run):
    sweep, folder, *_ = run
    assert forecast(sweep).detectors == len(detectors(folder)) == 1
    shown = Console(width=200, record=True)
    shown.print(describe(sweep, folder.root))
    assert "1, one for each target layer: 1 + 1 epochs on 48 images" in shown.export_text()
    without = read(DETECTED[: DETECTED.index("[ood.detector]")], folder.root)
    assert forecast(without).detectors == 0


def test_every_statistic_stands_beside_the_accuracies(run):
    _, folder, record, told = run
    found = results(folder)
    names = {*FIDELITY, *Scores.names(), "ood_energy", *NAMES}
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
        assert folder.catalogue.has(one["key"].iloc[0])
    assert record["made"] == 2
    assert told[:2] == [(1, 8), (2, 8)]  # epochs of the detector, then steps and maps
    assert told[-1] == (8, 8)
    assert len(detectors(folder)) == 1


def test_energies_are_those_of_the_stitched_network_run_by_hand(run):
    sweep, folder, *_ = run
    opened = sp.open(folder.root)
    source, target = (opened.activations("A", f"layer{k}.0", split="test") for k in (2, 1))
    native = opened.activations("A", LOGITS, split="test").values
    rest = tail(load_network(sweep, folder, sweep.model("A")), "layer1.0")
    wanted = set()
    for path in (folder.root / "maps").glob("tlm-*.safetensors"):
        fitted = read_map(path)
        if fitted.W.shape == (4, 6):
            layer = StitchingLayer.from_map(source.shape[1:], target.shape[1:], fitted)
            with torch.inference_mode():
                logits = rest(layer(torch.from_numpy(np.array(source.values, dtype="float32")))).numpy()
            scores = np.r_[-logsumexp(native, axis=1), -logsumexp(logits, axis=1)]
            wanted.add(round(roc_auc_score(np.repeat([0, 1], len(native)), scores), 3))
    found = results(folder)
    one = found[(found["source_layer"] == "layer2.0") & (found["index"] == "ood_energy")].iloc[0]
    assert round(one["auroc"], 3) in wanted


def test_a_detector_is_trained_once_and_found_again(run, copied, monkeypatch):
    sweep, folder, *_ = run
    monkeypatch.setattr(out_of_distribution, "train_detector", None)  # calling it would fail
    assert steps.stitch(sweep, copied, *TARGET)["made"] == 2
    columns = ["source_layer", "index", "value", "status", "reason"]
    assert results(copied)[columns].equals(results(folder)[columns])
    assert [path.name for path in detectors(copied)] == [path.name for path in detectors(folder)]


def test_an_interrupted_training_leaves_nothing_and_is_the_same_the_next_time(run, copied):
    sweep, folder, *_ = run
    for path in detectors(copied):
        path.unlink()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps.stitch(sweep, copied, *TARGET, report=stop)
    assert not list((copied.root / "detectors").glob("*"))
    steps.stitch(sweep, copied, *TARGET)
    assert [path.read_bytes() for path in detectors(copied)] == [
        path.read_bytes() for path in detectors(folder)
    ]


def test_a_damaged_detector_is_refused_with_the_way_out(run, copied):
    detectors(copied)[0].write_bytes(b"torn")
    with pytest.raises(DetectorFileError, match="Delete the file"):
        steps.stitch(run[0], copied, *TARGET)


def test_a_detector_of_other_settings_is_another(run, copied, tmp_path):
    other = read(DETECTED.replace("images = 48", "images = 48\nseed = 1"), tmp_path)
    assert steps.stitch(other, copied, *TARGET)["made"] == 2
    assert len(detectors(copied)) == 2


def test_a_training_that_diverges_costs_only_its_own_numbers(run, copied, tmp_path):
    wild = read(DETECTED.replace("images = 48", "images = 48\nlearning_rate = 1e25\nepochs = 3").replace(
        "epochs = 1\nfinetune", "finetune"), tmp_path)  # fmt: skip
    steps.stitch(wild, copied, *TARGET)
    found = results(copied)
    status = found.groupby("index")["status"].unique().map(list).to_dict()
    assert all(status[name] == ["diverged"] for name in NAMES)
    assert all(status[name] == ["ok"] for name in status if name not in NAMES)
    assert len(detectors(copied)) == 1


def test_a_detector_that_is_one_sided_wrong_is_logged_and_counted(run, copied, monkeypatch, caplog):
    """As one that learned nothing would be of representations that have less energy than all native ones."""
    trained = EnergyDetector.load(detectors(copied)[0])
    EnergyDetector(trained.network, trained.native + 1e3, 0.99, trained.training).save(detectors(copied)[0])
    assert steps.stitch(run[0], copied, *TARGET)["warnings"] == 2
    told = [record.getMessage() for record in caplog.records]
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
    sweep = read(declared, tmp_path)
    images = foreign_images(sweep, "sanity")
    assert images.count == 30
    assert images.batch([0, 29]).shape == (2, 1, 8, 8)
    assert steps.stitch(sweep, copied, *TARGET)["made"] == 2
    sanity = EnergyDetector.load(detectors(copied)[0]).sanity_auroc
    assert 0.0 <= sanity <= 1.0
    assert len(detectors(copied)) == 2


def test_foreign_images_of_another_shape_are_refused(run, copied, tmp_path):
    sweep = read(other_images(tmp_path, (9, 9)), tmp_path)
    with pytest.raises(ConfigError, match=r"ood.detector.sanity.*\(1, 8, 8\).*\(1, 9, 9\).*size"):
        steps.stitch(sweep, copied, *TARGET)


def test_the_report_shows_the_detector_of_a_sweep_that_only_stitches(run, tmp_path):
    sweep, folder, *_ = run
    shutil.copytree(folder.root, tmp_path / "run")
    record = steps.report(sweep, steps.Folder(tmp_path / "run"))
    assert (record["pairs_missing"], record["stitches_missing"]) == (0, 0)
    page = (tmp_path / "run" / "report" / "index.html").read_text("utf-8")
    for words in ("AUROC 0.", "trained detector", "finetune epochs"):
        assert words in page


def test_blocks_are_looked_at_once_and_not_kept():
    rng = np.random.default_rng(0)
    native, logits = rng.standard_normal((40, 3, 4, 4)), rng.standard_normal((40, 5))
    watch = out_of_distribution.Watch(TargetReference(observe([native]), observe([native])), None, logits)
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
    found = watch.statistics(logits)
    assert found["ood_energy"].value == pytest.approx(0.0, abs=1e-12)
    assert found["ood_frechet"].value == pytest.approx(0.0, abs=1e-9)


def test_generated_images_differ_by_role_and_repeat(run):
    sweep = run[0]
    own = splits(sweep.data)["train"].batch([0, 1])
    first, again = (foreign_images(sweep, "auxiliary").batch([0, 1]) for _ in range(2))
    assert first.shape == own.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, foreign_images(sweep, "sanity").batch([0, 1]))
