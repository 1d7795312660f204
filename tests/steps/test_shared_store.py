"""Two runs over one store: what one of them dumps, collects or replaces never changes a number of the other."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pandas as pd
import pytest

from stitchpipe import steps
from stitchpipe.config import parse
from stitchpipe.errors import ExplainedError
from stitchpipe.run import Run
from stitchpipe.steps import maintenance
from tests.steps.damaging import bit, problems
from tests.steps.test_integrity import LOADED, replace_weights
from tests.tiny_sweep import run_steps

SHARED = "\n[store]\nurl = 'shared.zarr'\n"
COMPARED = LOADED.replace('indices = ["cka"]', 'indices = ["procrustes", "cca"]').partition("[[stitch]]")[0]
COMPARED = f"{COMPARED}[certainty]\nintervals = false\npermutations = 0\n[run]\nworkers = 1\n"


def opened(folder, name, text):
    return Run.open(parse(text + SHARED, where=name, folder=folder), folder / name)


def first(folder):
    return opened(folder, "first", LOADED)


def second(folder):
    return opened(folder, "second", COMPARED)


@pytest.fixture(scope="module")
def made(tmp_path_factory, cluster):
    """Return a folder with a store, and two finished runs over it that ask for different things."""
    folder = tmp_path_factory.mktemp("shared")
    replace_weights(folder, 0)
    run_steps(first(folder), cluster)
    before = shards(folder)
    run_steps(second(folder), cluster)
    assert shards(folder) == before
    return folder


@pytest.fixture
def folder(made, monkeypatch):
    """Return it for a test that damages it: at its own place, which both sweeps name."""
    kept = made.with_name(f"{made.name}-kept")
    shutil.copytree(made, kept)
    yield made
    shutil.rmtree(made)
    kept.rename(made)


def shards(folder):
    """Return the bytes of everything that the store holds of layers."""
    files = (
        path for path in (folder / "shared.zarr").rglob("*") if path.is_file() and "commits" not in path.parts
    )
    return {path: path.read_bytes() for path in files}


def numbers(run):
    frame = run.results.read()
    return frame.sort_values(["key", "index", "source_layer", "target_layer"], ignore_index=True)


def test_what_is_in_the_store_is_dumped_once_and_each_run_has_its_own_numbers(made):
    assert set(numbers(second(made))["index"]) == {"procrustes", "cca"}
    assert {"cka", "stitch_relative_accuracy"} <= set(numbers(first(made))["index"])
    assert not (made / "first" / "store.zarr").exists()
    assert problems(made / "first") == problems(made / "second") == ()


def test_garbage_of_one_run_is_nothing_of_the_other(folder):
    before, held = numbers(first(folder)), shards(folder)
    shutil.rmtree(folder / "second" / "results")
    maintenance.repair(str(folder / "second"), progress=lambda *_: None)
    maintenance.garbage(str(folder / "second"), older_than="0s").remove(quarantined=True)
    assert shards(folder) == held
    assert problems(folder / "first") == ()
    pd.testing.assert_frame_equal(numbers(first(folder)), before)


def test_a_change_in_the_store_is_found_from_both_runs_and_read_by_none(folder, cluster):
    shard = max(shards(folder), key=lambda path: path.stat().st_size)
    bit(shard, shard.read_bytes(), random.Random(3))
    for run in (first(folder), second(folder)):
        assert any(
            "shared.zarr" in str(problem) or shard.name in str(problem) for problem in problems(run.place.url)
        )
    shutil.rmtree(folder / "second" / "results")
    with pytest.raises(ExplainedError):
        steps.compare(second(folder), cluster=cluster)


def test_other_weights_dumped_by_one_run_are_no_numbers_of_the_other(folder, cluster):
    before = numbers(first(folder))
    replace_weights(folder, 1)
    again = second(folder)
    run_steps(again, cluster)
    of_both = set(numbers(again)["target_digest"])
    assert of_both - set(
        before["target_digest"]
    )  # the second run has numbers of both weights, each under its digests
    # The first run has the numbers of its own weights, and makes none of others under its name.
    pd.testing.assert_frame_equal(numbers(first(folder)), before)
    replace_weights(folder, 0)
    shutil.rmtree(folder / "first" / "results")
    maintenance.repair(str(folder / "first"), progress=lambda *_: None)
    run_steps(first(folder), cluster)
    columns = ["index", "source_layer", "target_layer", "value"]
    compared = [
        frame[frame["index"] == "cka"][columns].reset_index(drop=True)
        for frame in (numbers(first(folder)), before)
    ]
    pd.testing.assert_frame_equal(*compared, rtol=1e-9)


def test_the_folder_of_a_store_is_taken_from_that_of_the_sweep(made):
    assert Path(first(made).sweep.store.url) == made / "shared.zarr"
