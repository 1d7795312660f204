"""Sweeps over images without labels: dumped and compared; training and stitching are refused before any work."""

from __future__ import annotations

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.config import ConfigError, parse
from stitchpipe.data import DataError
from stitchpipe.models import build, weights_bytes
from stitchpipe.run import Run

OPTIONS = {"in_channels": 1, "blocks": [1, 1, 1], "widths": [4, 6, 8], "num_classes": 5}
MODEL = """
[[models]]
name = "{name}"
architecture = "cifar_resnet"
options = {{ in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8], num_classes = 5 }}
weights = "{name}.safetensors"
"""
SWEEP = (
    """
name = "unlabelled"
[data]
kind = "arrays"
files = { train = "train.npy", test = "test.npz" }
mean = [0.5]
[dump]
layers = ["layer?.0"]
row_groups = 3
[[compare]]
view = "pooled"
indices = ["cka", "dm_r2"]
"""
    + MODEL.format(name="A")
    + MODEL.format(name="B")
)

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with images of noise and two untrained networks."""
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "train.npy", images[:50])
    np.savez(tmp_path / "test.npz", images=images[50:], ids=[f"image {k}" for k in range(40)])
    for seed, name in enumerate("AB"):
        network = build("cifar_resnet", OPTIONS, seed=seed)
        (tmp_path / f"{name}.safetensors").write_bytes(weights_bytes(network))
    return tmp_path


def opened(text, folder):
    """Open a sweep in a place beside its data."""
    return Run.open(parse(text, where="sweep", folder=folder), folder / "run")


def test_images_without_labels_are_dumped_and_compared(folder, cluster):
    run = opened(SWEEP, folder)
    steps.check(run, steps.STEPS)
    units = steps.units(run)
    for model in units.models:
        steps.train(run, model)
    for model, split in units.dumps:
        steps.dump(run, model, split)
    for view in units.views:
        steps.compare(run, view, cluster=cluster)
    steps.report(run)
    results = sp.open(run.place.url).results()
    assert len(results) == 6 * 6 * 2
    assert set(results["status"]) == {"ok"}
    stored = run.store.split("arrays", "test")
    assert stored.labels is None
    assert set(stored.sample_ids) == {f"image {k}" for k in range(40)}
    assert run.store.split("arrays", "train").provenance["preprocessing"]["layout"] == "NHW"


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            ('weights = "A.safetensors"', "train = { epochs = 1 }"),
            DataError,
            "labels, for training model 'A'",
        ),
        (
            ("[[compare]]", '[[stitch]]\nmethod = "dm"\nsources = ["A/*"]\ntargets = ["B/*"]\n[[compare]]'),
            DataError,
            "labels, for judging stitches",
        ),
        ((", num_classes = 5", ""), ConfigError, "options = { num_classes = N }"),
    ],
)
def test_what_needs_labels_is_refused_before_any_work(folder, change, error, text):
    run = opened(SWEEP.replace(*change, 1), folder)
    with pytest.raises(error, match=text):
        steps.check(run, steps.STEPS)
    assert not (folder / "run").exists()


def test_classes_are_counted_over_all_splits_where_they_have_no_names(folder):
    images = np.zeros((6, 8, 8), dtype=np.uint8)
    np.savez(folder / "train.npz", images=images, labels=[0, 1, 2, 3, 1, 0])
    np.savez(folder / "test.npz", images=images, labels=[0, 1, 4, 3, 1, 0])
    text = SWEEP.replace("train.npy", "train.npz").replace(", num_classes = 5", "")
    run = opened(text, folder)
    steps.train(run, run.sweep.networks[0].name)
    np.savez(folder / "test.npz", images=images, labels=[0, 1, 5, 3, 1, 0])
    changed = opened(text.replace("mean = [0.5]", "mean = [0.25]"), folder)
    with pytest.raises(ValueError, match=r"fc\.|of another shape"):
        steps.train(changed, changed.sweep.networks[0].name)
