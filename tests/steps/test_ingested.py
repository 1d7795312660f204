"""Sweeps over activations that no network of ours gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.cli.plan_tables import describe
from stitchpipe.config import ConfigError, parse
from stitchpipe.graph import LayerInfo
from stitchpipe.run import Run, RunPlace
from stitchpipe.run.stitches import planned_stitches
from stitchpipe.steps.forecast import forecast
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

pytestmark = pytest.mark.usefixtures("undrawn")


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
    return RunPlace.at(root / "run")


def opened(text, place, where="alone"):
    """Open a sweep beside a run's place, in it."""
    return Run.open(parse(text, where=where, folder=Path(place.url).parent), place)


def finish(run, cluster):
    """Compare and report."""
    for view in steps.units(run).views:
        steps.compare(run, view, cluster=cluster)
    return steps.report(run)


def test_ingested_models_are_compared_and_reported(tmp_path, cluster, untimed):
    run = opened(ALONE, ingest(tmp_path))
    units = steps.units(run)
    assert (units.models, units.dumps, units.targets) == ((), (), ())
    steps.check(run, steps.STEPS)
    assert forecast(run).layers == {"one": 2, "other": 1}
    assert forecast(run).images == N
    assert forecast(run).activation_bytes == 0
    describe(run)
    record = finish(run, cluster)
    assert record["numbers"] == 3 * 3 * 3
    found = run.results.read()
    assert list(dict.fromkeys(found["source_layer"])) == ["layer2", "layer10", "b"]
    x, y = rows("test", "one")["layer10"], rows("test", "other")["b"]
    chosen = found[(found.source_layer == "layer10") & (found.target_layer == "b")].set_index("index")
    assert chosen.loc["cka", "value"] == pytest.approx(
        oracles.cka(x.astype(float), y.astype(float)), rel=1e-8
    )
    assert chosen.loc["dm_r2", "fit_split"] == "train"
    assert steps.compare(run, "pooled")["computed"] == 0


def test_without_a_training_split_only_what_needs_no_fit_is_compared(tmp_path, cluster, untimed):
    place = ingest(tmp_path, splits=("test",))
    with pytest.raises(ConfigError, match="only 'test', with dm_r2 asked for"):
        steps.units(opened(ALONE, place))
    fitting = opened(ALONE.replace(', "dm_r2"', ""), place)
    assert finish(fitting, cluster)["numbers"] == 3 * 3 * 2
    describe(fitting)


def test_a_name_that_stands_for_two_contents_must_be_told_apart(tmp_path, cluster):
    place = ingest(tmp_path)
    sealed = place.open_store().representations(model="one", split="test")
    (first,) = {layer.fingerprint for layer in sealed}
    changed = {name: values**3 for name, values in rows("test", "one").items()}
    ids = [f"test-{i:02d}" for i in range(N["test"])]
    again = sp.ingest_batches(tmp_path / "run", [(ids, changed)], dataset="mine", split="test", model="one")
    text = ALONE.replace(', "dm_r2"', "")
    with pytest.raises(ConfigError, match="fingerprints = "):
        steps.compare(opened(text, place), "pooled")
    unknown = text.replace('name = "one"', 'name = "one"\nfingerprints = ["zzz"]')
    with pytest.raises(
        ConfigError, match="'one', fingerprints: expected the first digits of one of .* found 'zzz'"
    ):
        steps.units(opened(unknown, place))
    values = set()
    for fingerprint in (first, again.fingerprint):
        named = text.replace('name = "one"', f'name = "one"\nfingerprints = ["{fingerprint[:9]}"]')
        finish(opened(named, place), cluster)
        found = place.results.read()
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
    place = ingest(tmp_path)
    with pytest.raises(ValueError, match=r"expected") as caught:
        steps.units(opened(ALONE.replace(*change, 1), place, "changed"))
    assert hint in str(caught.value)


def test_ingested_activations_are_stitched_into_a_network(tiny, tmp_path, cluster):
    place = tiny.copy(tmp_path / "run").place
    for split in ("train", "test"):
        values = sp.open(place.url).activations("org/B/layer2.0", split=split)
        batch = (list(values.sample_id.values), {"theirs": values.values})
        sp.ingest_batches(place.url, [batch], dataset="small digits", split=split, model="C")
    text = TINY.split("[[compare]]")[0] + '[[models]]\nname = "C"\ningested = true\n'
    text += '[[compare]]\nview = "pooled"\nindices = ["cka"]\n'
    text += '[[stitch]]\nmethod = "dm"\nsources = ["C/*", "org/B/layer2.0"]\ntargets = ["A/layer1.0"]\n'
    run = opened(text, place, "with")
    assert steps.units(run).models == ("A", "org/B")
    steps.fit_maps(run, cluster=cluster)
    steps.stitch(run, "A", "layer1.0")
    finish(run, cluster)
    found = run.results.read()
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
        planned_stitches(sweep, sweep.stitch, table)
