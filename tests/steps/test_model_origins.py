"""Sweeps over networks of every origin: trained, from a file, published, untrained; traced and by hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from rich.console import Console

from stitchpipe import steps
from stitchpipe.cli.plan_tables import describe
from stitchpipe.config import parse
from stitchpipe.models import build
from stitchpipe.run import Run
from stitchpipe.steps.forecast import forecast

SWEEP = """
name = "origins"
[data]
kind = "arrays"
files = { train = "train.npz", test = "test.npz" }
size = 16
[dump]
row_groups = 3
layers = ["layer?.0"]
[[models]]
name = "hf"
architecture = "hf/./saved"
pretrained = true
layers = ["*layers.0", "*layers.1"]
[[models]]
name = "random"
architecture = "cifar_resnet"
options = { blocks = [1, 1], widths = [4, 4], strides = [1, 1] }
untrained = true
seed = 4
layers = ["layer?.0", "layer2.0.add"]
[[models]]
name = "swin"
architecture = "timm/swin_tiny_patch4_window7_224"
options = { img_size = 16, patch_size = 2, window_size = 2, embed_dim = 8, depths = [1, 1], num_heads = [2, 2] }
untrained = true
layers = ["layers.1"]
[[compare]]
view = "pooled"
indices = ["cka"]
[[stitch]]
method = "dm"
sources = ["*/*"]
targets = ["*/*"]
"""
VIT = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "image_size": 16,
    "patch_size": 4,
    "num_classes": 3,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("origins")
    noise = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 40)):
        pixels = noise.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
        np.savez(
            path / f"{split}.npz",
            images=pixels,
            labels=np.arange(count) % 3,
            ids=[f"{split} {k}" for k in range(count)],
        )
    build("hf/vit", VIT, seed=0).save_pretrained(path / "saved")
    return path


def test_a_sweep_over_networks_that_trace_and_that_do_not(folder, cluster, untimed):
    run = Run.open(parse(SWEEP, where="sweep", folder=folder), folder / "run")
    steps.check(run, steps.STEPS)
    units, table = steps.units(run), run.layers.table
    assert [info.name for info in table["hf"]] == ["vit.layers.0", "vit.layers.1"]
    assert all(info.by_hooks and info.is_cut for info in table["hf"])
    ahead = forecast(run)
    assert list(ahead.by_hooks) == ["hf"]
    shown = Console(width=300, record=True)
    shown.print(describe(run))
    assert f"hf: {ahead.by_hooks['hf']}" in shown.export_text()
    assert [info.name for info in table["random"]] == ["layer1.0", "layer2.0.add", "layer2.0"]
    assert not any(info.by_hooks for info in table["random"])
    for model in units.models:
        steps.train(run, model)
    records = {model: steps.train(run, model) for model in units.models}
    assert records["hf"]["weights"] == "published"
    assert records["random"]["weights"] == "untrained, seed 4"
    for model, split in units.dumps:
        steps.dump(run, model, split)
    store = run.store
    stored = {
        one.address.layer: one for one in store.representations(model="hf") if one.address.split == "test"
    }
    assert stored["vit.layers.1"].shape == (40, 17, 8)
    network = build("hf/vit", VIT, seed=0)
    split = store.split("arrays", "test")
    values = store.representation(stored["vit.layers.1"].address).read_rows(slice(0, 5))
    pixels = np.load(folder / "test.npz")["images"][split.original_index[:5]]
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        hidden = network.vit(batch, output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(values, hidden, rtol=1e-2, atol=1e-2)
    stored = next(one for one in store.representations(model="swin") if one.address.layer == "layers.1")
    network = build(
        "timm/swin_tiny_patch4_window7_224", {**run.sweep.models[2].options, "num_classes": 3}, seed=0
    )
    split = store.split("arrays", stored.address.split)
    pixels = np.load(folder / f"{stored.address.split}.npz")["images"][split.original_index[:5]]
    with torch.inference_mode():
        patches = network.patch_embed(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
        expected = network.layers(patches).permute(0, 3, 1, 2)
    values = store.representation(stored.address).read_rows(slice(0, 5))
    assert values.shape == expected.shape == (5, 16, 4, 4)
    np.testing.assert_allclose(values, expected, rtol=1e-2, atol=1e-2)
    steps.compare(run, cluster=cluster)
    steps.fit_maps(run, cluster=cluster)
    for model, layer in units.targets:
        steps.stitch(run, model, layer)
    found = run.results.query(
        "SELECT source_model, target_model, source_layer, value FROM results WHERE index = "
        "'stitch_relative_accuracy' AND source_model = target_model AND source_layer = target_layer"
    )
    assert len(found) == 6
    assert found["value"].min() > 0.9, "a layer stitched into itself by least squares changes next to nothing"


def test_the_seed_of_untrained_weights_makes_other_networks(folder):
    four, five = (
        Run.open(
            parse(SWEEP.replace("seed = 4", f"seed = {seed}"), where="sweep", folder=folder), folder / "seeds"
        )
        for seed in (4, 5)
    )
    digests = {steps.train(run, "random")["weights_digest"] for run in (four, five, four)}
    assert len(digests) == 2
