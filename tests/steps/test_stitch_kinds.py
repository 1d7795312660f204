"""Stitches of every kind in one sweep: families of maps, objectives, augmented splits, controls."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.config import ConfigError, parse
from stitchpipe.results import made_of
from stitchpipe.run import Run
from tests.tiny_sweep import run_steps

TEXT = """
name = "kinds"
[data]
kind = "digits"
limit = 400
[dump]
layers = ["layer?.0"]
row_groups = 4
augment = { passes = 2, crop = 1, flip = false, seed = 5 }
[[models]]
name = "A"
architecture = "cifar_resnet"
options = { in_channels = 1, blocks = [1, 1, 1], widths = [4, 6, 8] }
train = { epochs = 6, seed = 0, batch_size = 32 }
[[models]]
name = "codes"
control = { kind = "random_codes", shape = [8, 2, 2], noise = 0.1, seed = 3 }
[[models]]
name = "shuffled"
control = { kind = "permuted", of = "A", seed = 1 }
[[stitch]]
method = "dm"
maps = ["affine", "ridge(0.1)", "orthogonal", "low_rank(2)"]
sources = ["A/layer1.0"]
targets = ["A/layer2.0"]
[[stitch]]
method = "tlm"
objectives = ["hard_labels", "soft_labels", "direct_matching", "fula", "penultimate"]
sources = ["A/layer3.0"]
targets = ["A/layer2.0"]
steps = 5
batch_size = 64
[[stitch]]
method = "tlm"
objectives = ["hard_labels", "soft_labels", "direct_matching"]
augmented = true
sources = ["A/layer3.0"]
targets = ["A/layer2.0"]
steps = 12
batch_size = 64
[[stitch]]
method = "tlm"
sources = ["codes/*", "shuffled/layer3.0"]
targets = ["A/layer2.0"]
steps = 60
learning_rate = 0.03
[[compare]]
view = "pooled"
indices = ["cka"]
[certainty]
intervals = false
permutations = 0
"""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory, cluster, undrawn):
    folder = tmp_path_factory.mktemp("kinds")
    run = Run.open(parse(TEXT, where="kinds", folder=folder), folder / "run")
    run_steps(run, cluster)
    return SimpleNamespace(run=run, results=sp.open(run.place.url).results())


def one(results, index, source, **chosen):
    model, layer = source
    rows = results[
        (results["index"] == index) & (results.source_model == model) & (results.source_layer == layer)
    ]
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1, rows
    return rows.iloc[0]


def test_every_family_of_maps_is_stitched(kinds):
    methods = ["dm", "dm_ridge(0.1)", "dm_orthogonal", "dm_low_rank(2)"]
    source = ("A", "layer1.0")
    found = {
        method: one(kinds.results, "stitch_accuracy", source, method=method)["value"] for method in methods
    }
    assert len(set(found.values())) > 1
    ranks = {method: one(kinds.results, "stitch_kl", source, method=method)["rank"] for method in methods}
    assert ranks["dm_low_rank(2)"] == 2
    assert ranks["dm"] == 4


def test_every_objective_is_trained_and_told_apart(kinds):
    trained = kinds.results[(kinds.results["index"] == "stitch_accuracy") & (kinds.results.method == "tlm")]
    plain = trained[
        (trained.augmented == 0) & (trained.source_model == "A") & (trained.precision == "float32")
    ]
    assert set(plain.objective) == {"hard_labels", "soft_labels", "direct_matching", "fula", "penultimate"}
    assert plain.final_loss.nunique() == 5
    augmented = trained[trained.augmented == 2]
    assert set(augmented.objective) == {"hard_labels", "soft_labels", "direct_matching"}
    assert set(trained.precision) == {"float32"}
    assert np.isfinite(trained.value).all()


def test_fidelity_is_that_of_the_stored_answers(kinds):
    native = kinds.results[kinds.results["index"] == "stitch_agreement"]
    assert native.value.between(0, 1).all()
    assert (kinds.results[kinds.results["index"] == "stitch_kl"].value >= 0).all()
    classes = kinds.results[kinds.results["index"].str.startswith("stitch_class_accuracy")]
    assert set(classes["index"]) == {f"stitch_class_accuracy({number})" for number in range(10)}
    first = classes[(classes.method == "dm")]
    test = kinds.run.store.split("digits", "test")
    shares = np.bincount(test.labels, minlength=10) / test.n_samples
    total = sum(
        shares[number] * first[first["index"] == f"stitch_class_accuracy({number})"].value.iloc[0]
        for number in range(10)
    )
    assert total == pytest.approx(
        one(kinds.results, "stitch_accuracy", ("A", "layer1.0"), method="dm")["value"]
    )


def test_codes_of_classes_stitch_well_and_permuted_samples_do_not(kinds):
    codes = one(kinds.results, "stitch_accuracy", ("codes", "codes"))["value"]
    permuted = one(kinds.results, "stitch_accuracy", ("shuffled", "layer3.0"))["value"]
    assert codes > 0.6
    assert permuted < 0.3


def test_controls_hold_what_they_say(kinds):
    store = kinds.run.store

    def rows(model, layer, split):
        (entry,) = store.representations(dataset="digits", split=split, model=model, layer=layer)
        return store.representation(entry.address, fingerprint=entry.fingerprint).read_rows(slice(None))

    for split in ("train", "test"):
        own, permuted = (rows(model, "layer3.0", split).reshape(-1, 32) for model in ("A", "shuffled"))
        assert not np.array_equal(own, permuted)
        assert np.array_equal(*(values[np.lexsort(values.T)] for values in (own, permuted)))
    codes, labels = rows("codes", "codes", "test"), store.split("digits", "test").labels
    within = np.mean([codes[labels == number].std(axis=0).mean() for number in range(10)])
    assert within == pytest.approx(0.1, rel=0.1)
    means = np.stack([codes[labels == number].mean(axis=0) for number in range(10)])
    train = rows("codes", "codes", "train")
    of_train = np.stack(
        [train[store.split("digits", "train").labels == number].mean(axis=0) for number in range(10)]
    )
    np.testing.assert_allclose(means, of_train, atol=0.1)


def test_a_permuted_source_is_like_nothing(kinds):
    def cka(source, target):
        rows = kinds.results[(kinds.results["index"] == "cka") & (kinds.results.source_model == source)]
        rows = rows[(rows.source_layer == "layer3.0") & (rows.target_layer == "layer3.0")]
        return rows[rows.target_model == target].value.iloc[0]

    assert cka("A", "A") == pytest.approx(1.0)
    assert abs(cka("shuffled", "A")) < 0.1


def test_augmented_splits_are_the_images_moved(kinds):
    plain, first, second = (kinds.run.data.split(split) for split in ("train", "train+1", "train+2"))
    assert first.sample_ids == plain.sample_ids
    batches = [split.batch([0, 5, 9]) for split in (plain, first, second)]
    assert not batches[0].equal(batches[1])
    assert not batches[1].equal(batches[2])
    assert first.batch([9])[0].equal(batches[1][2])  # whatever stands beside it
    for image, moved in zip(batches[0], batches[1], strict=True):
        shifts = [image.roll((down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        inner = (slice(None), slice(1, -1), slice(1, -1))
        assert any(moved[inner].equal(shifted[inner]) for shifted in shifts)


def test_what_a_permuted_source_is_made_from_is_dumped_on_augmented_splits(tmp_path):
    text = TEXT.replace(
        'sources = ["codes/*", "shuffled/layer3.0"]', 'sources = ["shuffled/*"]\naugmented = true'
    )
    text = text.replace('"direct_matching"]\naugmented = true', '"direct_matching"]')
    dumps = steps.units(Run.open(parse(text, where="kinds", folder=tmp_path), tmp_path / "run")).dumps
    for model in ("A", "shuffled"):
        assert [split for name, split in dumps if name == model] == ["train", "test", "train+1", "train+2"]


def test_curves_are_kept_with_their_budgets(kinds):
    files = kinds.run.place.files
    curves = [json.loads(files.read(file)) for file in files.listing("curves")]
    assert len(curves) == 5 + 3 + 2
    assert all(len(curve["losses"]) == curve["budget"]["steps"] for curve in curves)
    augmented = [curve["passes"] for curve in curves if curve["budget"]["augmented"]]
    assert augmented == [["train+1", "train+2"]] * 3
    assert not files.listing("training")


def test_maps_and_curves_say_what_they_are_of(kinds):
    files = kinds.run.place.files
    made = [made_of(files.read(file), where=file.name) for file in files.listing("maps")]
    methods = {(map_["method"], map_["source"], map_["target"]) for map_ in made}
    assert ("dm", "A/layer1.0", "A/layer2.0") in methods
    assert ("tlm", "codes/codes", "A/layer2.0") in methods
    keys = {map_["key"] for map_ in made if map_["method"] == "tlm"}
    curves = [json.loads(files.read(file)) for file in files.listing("curves")]
    assert keys == {curve["key"] for curve in curves}
    assert keys <= set(kinds.results["key"])


def test_a_stitch_that_was_stopped_goes_on(kinds, tmp_path):
    sweep = parse(TEXT.replace("steps = 5", "steps = 9"), where="kinds", folder=tmp_path)
    stopped, whole = (
        Run.open(sweep, shutil.copytree(kinds.run.place.url, tmp_path / name))
        for name in ("stopped", "whole")
    )

    class Stop(BaseException):
        pass

    def stop(done, total):
        stop.calls += 1
        if stop.calls == 6:
            raise Stop

    stop.calls = 0
    with pytest.raises(Stop):
        steps.stitch(stopped, "A", "layer2.0", report=stop)
    (state,) = stopped.place.files.listing("training")
    seen = []
    steps.stitch(stopped, "A", "layer2.0", report=lambda done, total: seen.append(done))
    assert not stopped.place.files.listing("training")
    steps.stitch(whole, "A", "layer2.0")
    key = state.name.split("/")[1]
    losses = [json.loads(run.place.files.read(f"curves/{key}"))["losses"] for run in (stopped, whole)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('maps = ["affine"', 'maps = ["afine"'), "one of affine, ridge.*'afine'.*Did you mean 'affine'"),
        (
            (
                'objectives = ["hard_labels", "soft_labels", "direct_matching", "fula"',
                'objectives = ["hard_label"',
            ),
            "hard_label",
        ),
        (("passes = 2", "passes = 0"), "augment.passes: expected a number greater than or equal to 1"),
        (('of = "A"', 'of = "B"'), "a model of the sweep.*'B'"),
        (('kind = "permuted", of = "A"', 'kind = "permuted"'), "`of`"),
        (
            ('targets = ["A/layer2.0"]\nsteps = 60', 'targets = ["codes/*"]\nsteps = 60'),
            "layers of models with a network",
        ),
        (('maps = ["affine", "ridge(0.1)"', 'maps = ["ridge(-1)"'), "ridge"),
        (
            ('targets = ["A/layer2.0"]\nsteps = 60', 'targets = ["A/layer4.0"]\nsteps = 60'),
            "Did you mean 'A/layer.*Layers of A are layer1.0",
        ),
        (("learning_rate = 0.03", "learning_rate = inf"), "learning_rate.*finite"),
        (("noise = 0.1", "noise = inf"), "noise.*finite"),
    ],
)
def test_mistakes_are_one_message(tmp_path, change, message):
    text = TEXT.replace(*change)
    assert text != TEXT
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        steps.units(Run.open(parse(text, where="kinds", folder=tmp_path), tmp_path / "run"))
