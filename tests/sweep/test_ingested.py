"""Sweeps over activations that no network of ours gave."""

from __future__ import annotations

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import sweep as steps
from stitchpipe.config import ConfigError, parse
from stitchpipe.graph import LayerInfo
from stitchpipe.sweep.jobs import jobs
from stitchpipe.sweep.planning import describe, forecast
from tests import oracles
from tests.tiny_sweep import TINY

N = {"train": 60, "test": 41}
ALONE = """
name = "theirs"
data = { kind = "store", name = "mine" }
[[models]]
name = "one"
ingested = true
[[models]]
name = "other"
ingested = true
layers = ["b*"]
[[compare]]
view = "pooled"
indices = ["cka", "procrustes", "dm_r2"]
[run]
workers = 1
"""


def rows(split, model):
    rng = np.random.default_rng([len(split), len(model)])
    base = np.random.default_rng(len(split)).standard_normal((N[split], 5))
    names = {"one": ("layer10", "layer2"), "other": ("b", "unused")}[model]
    return {
        name: (base @ rng.standard_normal((5, 7)) + 0.1 * rng.standard_normal((N[split], 7))).astype(
            "float32"
        )
        for name in names
    }


def ingest(root, *, splits=("train", "test"), order=None):
    for split in splits:
        ids = np.array([f"{split}-{i:02d}" for i in range(N[split])])
        for model in ("one", "other"):
            chosen = np.arange(N[split])[:: -1 if model == "other" else 1]
            path = root / f"{model}-{split}.npz"
            np.savez(path, ids=ids[chosen], **{k: v[chosen] for k, v in rows(split, model).items()})
            sp.ingest_files(root / "run", [path], dataset="mine", split=split, model=model, row_groups=4)
    return steps.Folder(root / "run")


def run(sweep, folder):
    for view in steps.units(sweep, folder).views:
        steps.compare(sweep, folder, view)
    return steps.report(sweep, folder)


def test_ingested_models_are_compared_and_reported(tmp_path):
    folder = ingest(tmp_path)
    sweep = parse(ALONE, where="alone", folder=tmp_path)
    units = steps.units(sweep, folder)
    assert (units.models, units.dumps, units.targets) == ((), (), ())
    steps.check(sweep, steps.STEPS, folder)
    assert forecast(sweep, folder).layers == {"one": 2, "other": 1}
    assert forecast(sweep, folder).images == N
    assert forecast(sweep, folder).activation_bytes == 0
    describe(sweep, folder.root)
    record = run(sweep, folder)
    assert record["numbers"] == 3 * 3 * 3
    found = sp.open(folder.root).results()
    assert list(dict.fromkeys(found["source_layer"])) == ["layer2", "layer10", "b"]
    x, y = rows("test", "one")["layer10"], rows("test", "other")["b"]
    chosen = found[(found.source_layer == "layer10") & (found.target_layer == "b")].set_index("index")
    assert chosen.loc["cka", "value"] == pytest.approx(
        oracles.cka(x.astype(float), y.astype(float)), rel=1e-8
    )
    assert chosen.loc["dm_r2", "fit_split"] == "train"
    assert steps.compare(sweep, folder, "pooled")["computed"] == 0


def test_without_a_training_split_only_what_needs_no_fit_is_compared(tmp_path):
    folder = ingest(tmp_path, splits=("test",))
    sweep = parse(ALONE, where="alone", folder=tmp_path)
    with pytest.raises(ConfigError, match="only 'test', with dm_r2 asked for"):
        steps.units(sweep, folder)
    fitting = parse(ALONE.replace(', "dm_r2"', ""), where="alone", folder=tmp_path)
    assert run(fitting, folder)["numbers"] == 3 * 3 * 2
    describe(fitting, folder.root)


def test_a_name_that_stands_for_two_contents_must_be_told_apart(tmp_path):
    folder = ingest(tmp_path)
    (first,) = {
        one.fingerprint for one in sp.open(folder.root).store.representations(model="one", split="test")
    }
    changed = {name: values**3 for name, values in rows("test", "one").items()}
    ids = [f"test-{i:02d}" for i in range(N["test"])]
    again = sp.ingest_batches(tmp_path / "run", [(ids, changed)], dataset="mine", split="test", model="one")
    text = ALONE.replace(', "dm_r2"', "")
    with pytest.raises(ConfigError, match="fingerprints = "):
        steps.compare(parse(text, where="alone", folder=tmp_path), folder, "pooled")
    unknown = text.replace('name = "one"', 'name = "one"\nfingerprints = ["zzz"]')
    with pytest.raises(
        ConfigError, match="'one', fingerprints: expected the first digits of one of .* found 'zzz'"
    ):
        steps.units(parse(unknown, where="alone", folder=tmp_path), folder)
    values = set()
    for fingerprint in (first, again.fingerprint):
        named = text.replace('name = "one"', f'name = "one"\nfingerprints = ["{fingerprint[:9]}"]')
        run(parse(named, where="alone", folder=tmp_path), folder)
        found = sp.open(folder.root).results()
        values |= set(found[(found.source_layer == "layer2") & (found.target_layer == "b")]["value"])
    assert len(values) == 4


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (('name = "mine"', 'name = "theirs"'), "stitchpipe ingest"),
        ((', name = "mine"', ""), "`name`"),
        (
            ("ingested = true\nlayers", 'architecture = "resnet18"\ningested = true\nlayers'),
            "`architecture`, which belongs to `weights`, ",
        ),
        (("ingested = true\nlayers", "layers"), "ingested = true"),
        (('layers = ["b*"]', 'layers = ["c*"]'), "c*"),
        (("ingested = true\nlayers", 'architecture = "resnet18"\nweights = "w"\nlayers'), "networks other"),
        (
            ("[run]", '[[stitch]]\nmethod = "dm"\nsources = ["*/*"]\ntargets = ["*/*"]\n[run]'),
            "only activations",
        ),
    ],
)
def test_what_a_sweep_cannot_do_with_activations_alone_is_refused(tmp_path, change, hint):
    folder = ingest(tmp_path)
    with pytest.raises(ValueError, match=r"expected") as caught:
        steps.units(parse(ALONE.replace(*change, 1), where="changed", folder=tmp_path), folder)
    assert hint in str(caught.value)


def test_ingested_activations_are_stitched_into_a_network(tiny, tmp_path):
    folder = tiny.copy(tmp_path / "run")
    for split in ("train", "test"):
        values = sp.open(folder.root).activations("org/B", "layer2.0", split=split)
        batch = (list(values.sample_id.values), {"theirs": values.values})
        sp.ingest_batches(folder.root, [batch], dataset="small digits", split=split, model="C")
    text = TINY.split("[[compare]]")[0] + '[[models]]\nname = "C"\ningested = true\n'
    text += '[[compare]]\nview = "pooled"\nindices = ["cka"]\n'
    text += '[[stitch]]\nmethod = "dm"\nsources = ["C/*", "org/B/layer2.0"]\ntargets = ["A/layer1.0"]\n'
    sweep = parse(text, where="with", folder=tmp_path)
    assert steps.units(sweep, folder).models == ("A", "org/B")
    steps.fit_maps(sweep, folder)
    steps.stitch(sweep, folder, "A", "layer1.0")
    run(sweep, folder)
    found = sp.open(folder.root).results()
    reached = found[
        (found["index"] == "stitch_accuracy") & (found.method == "dm") & (found.target_layer == "layer1.0")
    ]
    theirs, ours = (
        reached[(reached.source_model == model) & (reached.source_layer == layer)]["value"].unique()
        for model, layer in (("C", "theirs"), ("org/B", "layer2.0"))
    )
    np.testing.assert_array_equal(theirs, ours)


def test_augmented_splits_of_ingested_activations_are_refused(tmp_path):
    text = """
name = "augmented"
data = { kind = "digits", limit = 40 }
dump = { augment = { passes = 1 } }
[[models]]
name = "a"
architecture = "cifar_resnet"
untrained = true
[[models]]
name = "theirs"
ingested = true
[[stitch]]
method = "tlm"
sources = ["theirs/*"]
targets = ["a/layer1.0"]
augmented = true
steps = 2
"""
    sweep = parse(text, where="sweep", folder=tmp_path)
    table = {
        "a": (LayerInfo("layer1.0", (4, 8, 8), is_cut=True),),
        "theirs": (LayerInfo("feat", (6, 4, 4), is_cut=True),),
    }
    with pytest.raises(ConfigError, match=r"augmented.*theirs/feat, whose activations were ingested"):
        jobs(sweep, table)
