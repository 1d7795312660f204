"""`stitchpipe verify` on a finished run: whatever is changed, cut, removed, added or swapped in its folder is found."""

from __future__ import annotations

import os
import random
import shutil
import time

import pytest

from stitchpipe.run.place import RunPlace
from stitchpipe.steps import maintenance
from storage import WORK, open_store, open_summaries
from tests.cli.command import stitchpipe
from tests.steps import damaging
from tests.steps.damaging import kinds_of, problems, silent, unnoticed

FLIPS = [damaging.bit, damaging.byte]
LENGTHS = [damaging.cut, damaging.grown]
COMPUTED_AGAIN = ("store.zarr/commits/summaries/", "/sealed/c")
"""What may be missing: summaries are computed again, and the flags are a courtesy to other programs."""


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    """A copy of the tiny run for all of these tests: each leaves it as it was."""
    root = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(tiny.root, root)
    assert problems(root) == ()
    yield root
    assert problems(root) == ()


def is_computed_again(path):
    return any(part in str(path) for part in COMPUTED_AGAIN)


def is_superseded(path):
    """Return whether this is a version of a record or publication that a newer one has replaced: `gc` removes it."""
    return path.name.startswith("~0") and path != max(path.parent.glob("~0*.json"))


def removable(root):
    """Return the kinds of files that must not go, but for the inventory itself, of which a remark tells."""
    kinds = {
        kind: [path for path in paths if not is_computed_again(path) and not is_superseded(path)]
        for kind, paths in kinds_of(root).items()
        if "records/inventory" not in kind
    }
    return {kind: paths for kind, paths in kinds.items() if paths}


def test_every_kind_of_file_is_there(run):
    kinds = kinds_of(run)
    tops = {kind.split("/")[0] for kind in kinds}
    assert tops == {"commits", "curves", "maps", "models", "report", "results", "store.zarr", "sweep.toml"}
    assert len(kinds) > 40


def test_flips_are_found(run):
    assert unnoticed(run, FLIPS, 20, seed=time.time_ns() % 10**6, kinds=kinds_of(run)) == []


def test_other_lengths_and_removals_are_found(run):
    kinds = removable(run)
    assert unnoticed(run, [*LENGTHS, damaging.removed], 12, seed=time.time_ns() % 10**6, kinds=kinds) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_thousand_of_thousand_flips_are_found(run):
    assert unnoticed(run, FLIPS, 1000, seed=1, kinds=kinds_of(run)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_files_cut_grown_and_removed_are_found(run):
    assert unnoticed(run, LENGTHS, 200, seed=2, kinds=kinds_of(run)) == []
    assert unnoticed(run, [damaging.removed], 200, seed=3, kinds=removable(run)) == []


@pytest.mark.parametrize("count", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_files_in_each_others_place_are_found(run, count):
    generator = random.Random(4)
    several = {kind: paths for kind, paths in kinds_of(run).items() if len(paths) > 1}
    for kind in generator.choices(sorted(several), k=count):
        first, second = generator.sample(several[kind], 2)
        sound = first.read_bytes(), second.read_bytes()
        first.write_bytes(sound[1]), second.write_bytes(sound[0])
        found = problems(run)
        first.write_bytes(sound[0]), second.write_bytes(sound[1])
        assert found or sound[0] == sound[1], (first, second)


@pytest.mark.parametrize(
    "key",
    [
        "notes.txt",
        "maps/mine.bin",
        "commits/records/mine.json",
        "store.zarr/mine",
        "store.zarr/small%20digits/test/mine/zarr.txt",
    ],
)
def test_a_file_that_was_added_is_found(run, key):
    path = run / key
    made = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"mine")
    found = problems(run)
    shutil.rmtree(path.parent) if made else path.unlink()
    assert [problem.file for problem in found] == [str(path)]
    assert "nothing here vouches for" in found[0].found


def test_a_repair_tells_of_what_was_removed_once(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    next((root / "commits/files/maps").iterdir()).unlink()
    shutil.rmtree(root / "commits/records/models/org")
    lost = problems(root)
    assert len(lost) == 5
    assert all("inventory" in problem.expected for problem in lost)
    mended = maintenance.repair(str(root), progress=silent)
    assert len(mended.problems) == 5
    assert problems(root) == ()


def test_removed_results_are_missed_and_merged_ones_are_not(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    assert RunPlace.at(root).results.compact() is not None
    assert problems(root) == ()
    merged = next((root / "commits/files/results").glob("compacted*"))
    merged.unlink()
    assert merged.name in problems(root)[0].file


def test_a_manifest_that_is_gone_is_missed_by_the_store_alone_and_by_the_run(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    next((root / "store.zarr").rglob("manifest.json")).unlink()
    flagged = [
        problem for problem in open_store(root / "store.zarr").verify() if "flagged" in problem.expected
    ]
    assert len(flagged) == 4  # one for each layer
    assert any("which the run dumped" in problem.expected for problem in problems(root))


def test_a_run_without_an_inventory_says_so(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    shutil.rmtree(root / "commits/records/inventory")
    done = stitchpipe("verify", root)
    assert (done.returncode, "No inventory was taken yet" in done.stdout) == (0, True)


def test_what_kills_left_is_counted_and_removed_by_gc(run, tmp_path):
    """Unfinished files of a run, its store and its summaries; summaries of work; bytes without a name."""
    root = tmp_path / "run"
    shutil.copytree(run, root)
    beside = open_summaries(root / "summaries")
    open_store(root / "store.zarr", mode="a").summaries.write(WORK, "a", {}, {})
    beside.write(WORK, "b", {}, {})
    left = [
        root / "commits/partial/one",
        root / "store.zarr/commits/partial/two",
        root / "summaries/commits/partial/three",
        root / f"maps/tlm-1~{'0' * 32}.safetensors",
        *root.glob("store.zarr/commits/summaries/work/*"),
        *root.glob("summaries/work/*"),
    ]
    assert len(left) == 6
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.read_bytes() if path.exists() else b"half")
        os.utime(path, (time.time() - 3 * 86400,) * 2)
    left_behind = maintenance.garbage(str(root), older_than="1d")
    assert left_behind.n_bytes == sum(path.stat().st_size for path in left)
    assert stitchpipe("gc", root, "--yes").returncode == 0
    assert [path for path in left if path.exists()] == []


def test_summaries_beside_a_store_that_cannot_be_written_are_checked_too(run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(run, root)
    open_summaries(root / "summaries").write("null", "a", {"n": 1}, {})
    assert problems(root) == ()
    path = next(root.glob("summaries/null/*"))
    damaging.bit(path, path.read_bytes(), random.Random(0))
    assert [problem.file for problem in problems(root)] == [str(path)]
    maintenance.repair(str(root), progress=silent)
    assert problems(root) == ()
