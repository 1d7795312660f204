"""How somebody begins: with a shipped sweep, or with one that is written for a folder of images."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from stitchpipe.config import load, shipped
from stitchpipe.run import Run
from tests.cli.command import in_a_process, refused, stitchpipe


@pytest.fixture
def images(tmp_path):
    """Two classes of tiny images in two splits."""
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for number in range(6):
                pixels = generator.integers(0, 256, (16, 16, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "pets"


def test_the_gallery_lists_and_copies_what_is_shipped(tmp_path):
    listed = json.loads(stitchpipe("gallery", "--format", "json").stdout)
    assert [row["sweep"] for row in listed] == list(shipped())
    assert all(row["what it asks"].endswith(("?", ".")) for row in listed)
    path = tmp_path / "mine.toml"
    assert stitchpipe("gallery", "controls", "--copy-to", path).returncode == 0
    assert load(path) == load("controls")
    assert "it is there" in refused("gallery", "controls", "--copy-to", path)
    assert stitchpipe("gallery", "controls").stdout == path.read_text("utf-8")
    assert "controls" in refused("gallery", "control")


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_sweep_can_be_planned(name, tmp_path, untimed):
    run = Run.open(load(name), tmp_path / "run")
    ended = stitchpipe("plan", name, "--out", tmp_path / "run", columns=300)
    assert ended.returncode == 0, ended.stderr
    assert "directed pairs" in ended.stdout or f"{len(run.sweep.networks)} networks are not" in ended.stdout
    assert len(run.layers.table) == len(run.sweep.models)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*shipped()} - {"quickstart"}))
def test_every_shipped_sweep_runs_as_it_is(name, tmp_path):
    ended = in_a_process("run", name, "--out", tmp_path / "run", timeout_s=1200)
    assert ended.returncode == 0, ended.stderr
    assert "report/index.html" in ended.stdout
    assert (tmp_path / "run" / "report" / "index.html").exists()


def test_init_writes_a_sweep_that_can_be_planned(images, tmp_path, monkeypatch, untimed):
    monkeypatch.chdir(tmp_path)
    ended = stitchpipe("init", "pets", "resnet18", "cifar_resnet", "--weights", "untrained")
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "pets.toml").read_text("utf-8")
    assert 'root = "pets"    # 12 train and 12 test images of 2 classes; the first is 16×16' in text
    sweep = load(tmp_path / "pets.toml")
    assert sweep.labels == ("resnet18", "cifar_resnet")
    assert sweep.dump.layers == ("blocks",)
    assert "it is there" in refused("init", "pets", "resnet18")
    planned = stitchpipe("plan", "pets.toml", "--only", "cifar_resnet", columns=300)
    assert planned.returncode == 0, planned.stderr


def test_init_takes_rules_and_checkpoints(images, tmp_path):
    out = tmp_path / "zoo.toml"
    ended = stitchpipe(
        "init", images, "installed:cifar_*", "mine.safetensors", "-o", out, "--weights", "train"
    )
    assert ended.returncode == 0, ended.stderr
    sweep = load(out)
    assert sweep.labels == ("mine", "cifar_resnet@0")
    assert str(sweep.models[0].weights) == str(tmp_path / "mine.safetensors")


def test_init_says_what_a_folder_lacks(tmp_path, images):
    (images / "test").rename(images / "val")
    said = refused("init", images, "resnet18", "-o", tmp_path / "x.toml")
    assert "no images in test/*/" in said
    assert "val" in said
    assert not (tmp_path / "x.toml").exists()
