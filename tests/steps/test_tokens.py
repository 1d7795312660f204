"""A convolutional network and a transformer on oblong images: compared, and stitched into each other from the store."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.algebra import direct_matching
from stitchpipe.config import ConfigError, parse
from stitchpipe.rows import to_rows
from stitchpipe.run import Run
from tests.tiny_sweep import run_steps

pytest.importorskip("timm")

TEXT = """
name = "tokens"
[data]
kind = "arrays"
name = "oblong"
files = { train = "train.npz", test = "test.npz" }
[dump]
layers = []
row_groups = 4
[[models]]
name = "R"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8] }
train = { epochs = 4, seed = 0, batch_size = 32 }
layers = ["layer2.0"]
[[models]]
name = "V"
architecture = "timm/vit_tiny_patch16_224"
layers = ["blocks.0", "blocks.1"]
train = { epochs = 8, seed = 0, batch_size = 32, learning_rate = 0.05 }
[models.options]
img_size = [8, 12]
patch_size = 2
embed_dim = 12
depth = 2
num_heads = 2
in_chans = 1
num_classes = 10
[[compare]]
view = "positions"
indices = ["cka_biased", "dm_r2"]
[[stitch]]
method = "dm"
sources = ["R/*", "V/*"]
targets = ["R/*", "V/*"]
[[stitch]]
method = "tlm"
sources = ["R/layer2.0", "V/blocks.1"]
targets = ["R/layer2.0", "V/blocks.0"]
steps = 40
learning_rate = 0.02
objectives = ["hard_labels", "fula"]
[certainty]
intervals = false
permutations = 0
""".replace("layers = []\n", 'layers = ["layer2.0"]\n')

GRIDS = {"R": (4, 6), "V": (1, 4, 6)}


@pytest.fixture(scope="module")
def oblong(tmp_path_factory, cluster, undrawn):
    folder = tmp_path_factory.mktemp("tokens")
    digits = load_digits()
    images = np.pad(digits.images.astype("float32")[:500] / 16, ((0, 0), (0, 0), (2, 2)))
    for split, chosen in (("train", slice(0, 350)), ("test", slice(350, 500))):
        np.savez(folder / f"{split}.npz", images=images[chosen, None], labels=digits.target[:500][chosen],
                 ids=np.array([f"{split}-{place:03d}" for place in range(len(images[chosen]))]))  # fmt: skip
    run = Run.open(parse(TEXT, where="tokens", folder=folder), folder / "run")
    run_steps(run, cluster)
    store = run.store

    def samples(model, layer, split):
        (entry,) = store.representations(dataset="oblong", split=split, model=model, layer=layer)
        return store.representation(entry.address, fingerprint=entry.fingerprint).read_rows(slice(None))

    return SimpleNamespace(run=run, results=sp.open(run.place.url).results(), samples=samples)


def of_pair(results, index, source, target, **chosen):
    rows = results[(results["index"] == index)]
    for side, (model, layer) in (("source", source), ("target", target)):
        rows = rows[(rows[f"{side}_model"] == model) & (rows[f"{side}_layer"] == layer)]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


PAIRS = [
    (("R", "layer2.0"), ("V", "blocks.1")),
    (("V", "blocks.0"), ("R", "layer2.0")),
    (("V", "blocks.0"), ("V", "blocks.1")),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_numbers_and_maps_are_those_of_rows_on_the_targets_positions(oblong, source, target):
    grid = GRIDS[target[0]]
    tokens = GRIDS[source[0]] if source[0] == "V" else None
    rows = {
        split: (
            to_rows(oblong.samples(*source, split), "positions", grid, tokens=tokens),
            to_rows(oblong.samples(*target, split), "positions"),
        )
        for split in ("train", "test")
    }
    fitted = direct_matching(*rows["train"], storage_eps=2**-23)
    x, y = rows["test"]
    residual = ((fitted.predict(x) - y) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum()
    found = of_pair(oblong.results, "dm_r2", source, target)
    assert found.value == pytest.approx(1 - residual, abs=1e-9)
    assert found.grid == ("4x6" if target[0] == "R" else "1+4x6")
    assert found.n_rows == 150 * (24 if target[0] == "R" else 25)


def test_a_layer_stitched_into_itself_is_the_network(oblong):
    for end in (("R", "layer2.0"), ("V", "blocks.0")):
        found = of_pair(oblong.results, "stitch_relative_accuracy", end, end, method="dm")
        assert found.value == pytest.approx(1.0)
        assert of_pair(oblong.results, "stitch_kl", end, end, method="dm").value < 1e-5


@pytest.mark.parametrize(
    ("source", "target"),
    [(("R", "layer2.0"), ("V", "blocks.0")), (("V", "blocks.1"), ("R", "layer2.0"))],
)
def test_convolutions_and_tokens_train_into_each_other(oblong, source, target):
    files = oblong.run.place.files
    curves = [json.loads(files.read(file)) for file in files.listing("curves")]
    ends = {"source": "/".join(source), "target": "/".join(target)}
    mine = [one for one in curves if ends == {side: one[side] for side in ends}]
    assert {one["budget"]["objective"] for one in mine} == {"hard_labels", "fula"}
    for one in mine:
        found = of_pair(
            oblong.results,
            "stitch_accuracy",
            source,
            target,
            method="tlm",
            objective=one["budget"]["objective"],
        )
        assert found.status == "ok"
        assert found.final_loss < np.mean(one["losses"][:4])


def test_a_target_that_is_no_cut_names_the_nearest_that_are(oblong, tmp_path):
    text = TEXT.replace(
        'layers = ["blocks.0", "blocks.1"]', 'layers = ["blocks.0", "blocks.1", "blocks.1.attn"]'
    )
    text = text.replace('targets = ["R/layer2.0", "V/blocks.0"]', 'targets = ["V/blocks.1.attn"]')
    data = oblong.run.sweep.data.files["train"].parent
    with pytest.raises(ConfigError, match=r"blocks\.1\.attn.*nearest first: blocks\.0, blocks\.1"):
        steps.units(Run.open(parse(text, where="tokens", folder=data), tmp_path / "run"))
