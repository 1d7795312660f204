"""Comparing without keeping activations: the same numbers, from one run of the networks, and nothing is left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

import stitchpipe as sp
from stitchpipe import steps
from stitchpipe.capture import NetworkCapture
from stitchpipe.cli.plan_tables import describe
from stitchpipe.config import ConfigError, parse
from stitchpipe.engine import WORKER_BYTES, Comparison, LiveLeaves
from stitchpipe.run import LayerName, Run, RunPlace
from stitchpipe.steps.forecast import forecast
from storage import open_store
from tests.tiny_sweep import TINY

COMPARED = TINY[: TINY.index("[[stitch]]")].replace(', "agreement"', "")  # of stored logits
UNKEPT = COMPARED.replace("[dump]", "[dump]\nkeep = false")
ORDER = ["view", "index", "source_model", "source_layer", "target_model", "target_layer"]
OF_THE_STORE = ["key", "source_digest", "target_digest"]

pytestmark = pytest.mark.usefixtures("undrawn")


def unkept(tmp_path, text=UNKEPT):
    return parse(text, where="unkept", folder=tmp_path)


def opened(tmp_path, text=UNKEPT, place=None):
    """Return a run that keeps no activations, in a place of its own or in a given one."""
    return Run.open(unkept(tmp_path, text), tmp_path / "run" if place is None else place)


@pytest.fixture
def trained(tiny, tmp_path):
    """Return a folder that holds the weights of the tiny sweep, and nothing else."""
    place, source = RunPlace.at(tmp_path / "run"), tiny.run.place.files
    for file in source.listing("models"):
        place.files.write(file.name, ".safetensors", source.read(file))
    for name, record in source.records("models").items():
        if name.endswith(("/model", "/inspection")):
            place.files.put_record(name, record)
    return place


@pytest.fixture
def batches(monkeypatch):
    """Return what networks ran over, as (split, row group, number of images)."""
    ran = []
    image_batches = NetworkCapture.image_batches

    def noted(self, row_group, rows=None):
        for images in image_batches(self, row_group, rows):
            ran.append((self.split.name, row_group, len(images)))
            yield images

    monkeypatch.setattr(NetworkCapture, "image_batches", noted)
    return ran


def numbers(place):
    found = sp.open(place.url).results()
    return found[found["method"].isna()].sort_values(ORDER, ignore_index=True)


def without_agreement(results):
    """Return the results that need no stored logits."""
    return results[results["index"] != "agreement"].reset_index(drop=True)


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory, cluster):
    """Return a place in which the tiny sweep was compared without keeping anything, once for all views."""
    root = tmp_path_factory.mktemp("unkept") / "run"
    files = tiny.copy(root).place.files
    for file in files.listing("results"):
        files.remove(file.name)
    for name in files.records("models"):
        if "/dump-" in name:
            files.remove_record(name)
    shutil.rmtree(root / "store.zarr")
    run = opened(root.parent)
    assert steps.units(run).dumps == ()
    record = steps.compare(run, "positions", cluster=cluster)
    assert record["views"] == ["positions", "pooled"]
    assert steps.compare(run, "pooled", cluster=cluster)["computed"] == 0
    return run.place


def test_all_numbers_are_those_of_the_store_to_the_last_bit(tiny, done):
    found, expected = numbers(done), numbers(tiny.run.place)
    expected = without_agreement(expected)
    assert len(found) == 6 * 6 * (9 + 6)
    pd.testing.assert_frame_equal(
        found.drop(columns=OF_THE_STORE), expected.drop(columns=OF_THE_STORE), check_exact=True
    )


def test_no_activation_and_no_work_is_left_in_the_store(done):
    store = done.open_store()
    assert store.representations() == []
    assert sorted(split for _, split in store.splits()) == ["test", "train"]
    assert store.summaries.keys("work") == []
    assert store.verify() == []
    sizes = sorted((path.stat().st_size, path) for path in (Path(done.url) / "store.zarr").rglob("*"))
    assert sizes[-1][0] < 100_000  # sample ids; activations of one layer alone take more


def test_digests_say_what_was_computed_not_which_bytes(tmp_path, done, tiny):
    found = numbers(done)
    assert found["source_digest"].str.fullmatch("identity:[0-9a-f]{64}").all()
    assert found.groupby(["source_model", "source_layer"])["source_digest"].nunique().eq(1).all()
    assert found["source_digest"].nunique() == 6
    assert set(found["key"]).isdisjoint(numbers(tiny.run.place)["key"])
    names = [LayerName("A", "layer1.0")]
    described = opened(tmp_path, place=done).activations.ends(names)
    stored = tiny.run.activations.ends(names)
    for name, one in described.items():
        assert one.test.fingerprint == stored[name].test.fingerprint
        assert one.test.shape == stored[name].test.shape
        assert one.test.sample_digest == stored[name].test.sample_digest
        assert one.test.row_groups == stored[name].test.row_groups


def test_a_report_needs_no_activations(tmp_path, done):
    record = steps.report(opened(tmp_path, place=done))
    assert record["numbers"] == 6 * 6 * (9 + 6)
    assert record["pairs_missing"] == 0


def test_networks_run_once_over_each_image(tmp_path, trained, batches, cluster):
    steps.compare(opened(tmp_path, place=trained), cluster=cluster)
    row_groups = [(split, group) for split in ("train", "test") for group in range(5)]
    first = [("train", 0), ("test", 0)]  # once more for the shifts
    assert sorted({(split, group) for split, group, _ in batches}) == sorted(row_groups)
    images = {split: sum(size for name, _, size in batches if name == split) for split in ("train", "test")}
    again = {split: next(size for name, _, size in batches if name == split) for split, _ in first}
    assert images == {"train": 1347 + again["train"], "test": 450 + again["test"]}


def test_a_killed_comparison_goes_on_at_the_leaves_that_are_missing(
    tiny, tmp_path, trained, batches, monkeypatch, cluster
):
    form, formed = LiveLeaves.form, []

    def killed(*arguments):
        if len(formed) == 7:
            raise KeyboardInterrupt
        form(*arguments)
        formed.append(arguments)

    monkeypatch.setattr(LiveLeaves, "form", killed)
    with pytest.raises(KeyboardInterrupt):
        steps.compare(opened(tmp_path, place=trained), cluster=cluster)
    monkeypatch.setattr(LiveLeaves, "form", form)
    batches.clear()
    steps.compare(opened(tmp_path, place=trained), cluster=cluster)
    assert {(split, group) for split, group, _ in batches} == {("test", 2), ("test", 3), ("test", 4)}
    found, expected = numbers(trained), without_agreement(numbers(tiny.run.place))
    pd.testing.assert_frame_equal(
        found.drop(columns=OF_THE_STORE), expected.drop(columns=OF_THE_STORE), check_exact=True
    )
    assert trained.open_store().summaries.keys("work") == []


@pytest.mark.slow
def test_each_pass_of_a_plan_runs_the_networks_once(tiny, tmp_path, trained, batches, monkeypatch, cluster):
    plan, plans = Comparison.plan, []

    def tight(*arguments, **options):
        plans.append(plan(*arguments, **{**options, "memory_limit_bytes": WORKER_BYTES + 120_000}))
        return plans[-1]

    monkeypatch.setattr(Comparison, "plan", tight)
    text = UNKEPT[: UNKEPT.index('[[compare]]\nview = "pooled"')].replace(
        '"cca", "cca_sq", "svcca", "pwcca", ', ""
    )
    steps.compare(opened(tmp_path, text, trained), cluster=cluster)
    assert len(plans[0].passes) > 1
    images = sum(size for split, _, size in batches if split == "test")
    again = next(size for split, _, size in batches if split == "test")
    assert images == len(plans[0].passes) * (450 + again)
    found, expected = numbers(trained), numbers(tiny.run.place)
    both = found.merge(expected, on=ORDER)
    assert len(both) == len(found) == 36 * 5
    pd.testing.assert_series_equal(
        both["value_x"],
        both["value_y"],
        check_names=False,
        rtol=1e-9,
        atol=1e-7,  # an angle of 0
    )
    assert trained.open_store().summaries.keys("work") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TINY.replace("[dump]", "[dump]\nkeep = false"), "found stitches, which are trained from a store"),
        (
            UNKEPT + '[[models]]\nname = "theirs"\ningested = true\n',
            "found activations without a network, of theirs",
        ),
    ],
)
def test_what_needs_a_store_is_refused_when_the_sweep_is_read(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        unkept(tmp_path, text)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('view = "flatten"\nindices = ["cka"]', "found cka, which needs.*permutations = 0"),
        ('view = "flatten"\nindices = ["rsa", "dm_r2", "mutual_knn"]', "found mutual_knn, rsa, which need"),
        ('view = "pooled"\nindices = ["agreement"]', "found agreement, which needs"),
    ],
)
def test_indices_that_read_activations_are_refused_before_any_work(tmp_path, table, message):
    text = UNKEPT[: UNKEPT.index("[[compare]]")] + "[[compare]]\n" + table
    with pytest.raises(ConfigError, match=message):
        steps.units(opened(tmp_path, text))
    steps.units(opened(tmp_path, text.replace("keep = false", "keep = true")))


def test_flattened_moments_need_no_store(tmp_path):
    text = (
        UNKEPT[: UNKEPT.index("[[compare]]")] + '[[compare]]\nview = "flatten"\nindices = ["cka", "gulp"]\n'
    )
    steps.units(opened(tmp_path, text + "[certainty]\npermutations = 0"))


def test_a_dump_of_what_is_not_kept_is_refused(tmp_path):
    run = opened(tmp_path)
    with pytest.raises(ConfigError, match=r"dump\.keep = true"):
        steps.check(run, ("train", "dump"))
    with pytest.raises(ConfigError, match=r"dump\.keep = true"):
        steps.dump(run, "A", "test")
    steps.check(run, steps.STEPS)


def test_a_report_before_the_comparison_is_refused(tmp_path, trained):
    open_store(trained.store_url, mode="a")
    with pytest.raises(ConfigError, match="stitchpipe compare"):
        steps.report(opened(tmp_path, place=trained))


def test_a_plan_says_what_is_not_written(tmp_path, untimed):
    kept, ahead = (forecast(opened(tmp_path, text)) for text in (COMPARED, UNKEPT))
    assert ahead.activation_bytes == kept.activation_bytes
    assert (kept.run_over, ahead.run_over) == ({}, {"train": 1347, "test": 450})
    shown = Console(width=200, record=True)
    shown.print(describe(opened(tmp_path)))
    text = shown.export_text()
    assert "none: 5.4 MiB before compression are not kept" in text
    assert "the networks once over 1347 train and 450 test images" in text
    assert "nothing read" in text
    assert "MiB read" not in text
