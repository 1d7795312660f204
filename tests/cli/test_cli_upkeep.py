"""Keeping a store well from the command line: what is said, done and returned."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from stitchpipe.asking import WorkspaceError
from stitchpipe.config import load
from stitchpipe.steps.maintenance import seconds_of, share_of
from storage import WORK, open_store
from tests.cli.command import in_a_process, refused, stitchpipe
from tests.storage.small_dump import dumped
from tests.storage.small_summary import CONTENT, arrays


@pytest.fixture
def run(tiny, tmp_path):
    return tiny.copy(tmp_path / "run")


def shard_of(run, found):
    store = open_store(run.store_url)
    one = store.representation(found.address, fingerprint=found.fingerprint)
    return Path(run.store_url) / one.shard_file(1)


def damaged(run):
    """Flip a bit in one shard; return what was hit and the values it had."""
    store = open_store(run.store_url)
    found = store.representations(layer="layer1.0")[0]
    before = store.representation(found.address).read_rows(slice(None))
    path = shard_of(run, found)
    data = bytearray(path.read_bytes())
    data[40] ^= 4
    path.write_bytes(data)
    return found.address, path, before


def test_a_dump_keeps_its_sweep(tiny):
    assert load(tiny.root / "sweep.toml") == tiny.sweep


def test_verify_a_sound_store_says_what_it_read(tiny):
    for place in (tiny.root, tiny.run.store_url):
        done = stitchpipe("verify", place)
        assert done.returncode == 0
        assert done.stdout.startswith("sound: ")
        assert "shards" in done.stdout
    done = stitchpipe("verify", tiny.root, "--sample", "10%", "--model", "A")
    assert done.returncode == 0
    assert "a sample of 10%" in done.stdout


def test_verify_and_repair_a_damaged_shard(run):
    address, path, before = damaged(run)
    done = stitchpipe("verify", run.place.url)
    assert done.returncode == 1
    assert "1 problems" in done.stdout
    assert "Repair" in done.stdout
    dry = stitchpipe("repair", run.place.url, "--dry-run")
    assert "Would be repaired" in dry.stdout
    assert path.exists()
    done = stitchpipe("repair", run.place.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 layers dumped again" in done.stdout
    after = open_store(run.store_url)
    assert after.verify() == []
    np.testing.assert_allclose(after.representation(address).read_rows(slice(None)), before, rtol=1e-5)
    assert "0 problems" in stitchpipe("repair", run.place.url).stdout


def test_repair_without_a_sweep_says_what_to_run(run, tiny):
    damaged(run)
    (Path(run.place.url) / "sweep.toml").unlink()
    done = stitchpipe("repair", run.place.url)
    assert done.returncode == 1
    assert "stitchpipe dump" in done.stdout
    assert stitchpipe("repair", run.place.url, "--sweep", tiny.path).returncode == 0
    assert open_store(run.store_url).verify() == []


def test_evict_shows_then_gives_up_and_ls_marks(run):
    done = stitchpipe("evict", run.place.url, "A/layer1.0", "--split", "test")
    assert "nothing was removed" in done.stdout
    assert len(open_store(run.store_url).evicted()) == 0
    done = stitchpipe("evict", run.place.url, "A/layer1.0", "--split", "test", "--yes")
    assert "1 representations evicted" in done.stdout
    listed = list(csv.DictReader(stitchpipe("ls", run.place.url).stdout.splitlines()))
    assert {row["model"]: int(row["evicted_bytes"]) > 0 for row in listed} == {"A": True, "org/B": False}
    assert (Path(run.place.url) / "results").is_dir()
    assert stitchpipe("verify", run.place.url).returncode == 0
    assert "Did you mean 'A'?" in refused("evict", run.place.url, "AA")
    assert "layer3.0" in refused("evict", run.place.url, "A/layer3")


@pytest.mark.slow
def test_a_dump_brings_an_evicted_model_back(run):
    assert stitchpipe("evict", run.place.url, "org/B", "--yes").returncode == 0
    assert in_a_process("dump", Path(run.place.url) / "sweep.toml", "--out", run.place.url).returncode == 0
    store = open_store(run.store_url)
    assert store.evicted() == []
    assert store.verify() == []


def test_gc_shows_and_removes_only_with_yes(run):
    left = Path(run.store_url) / "commits" / "partial" / "left"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"1234")
    assert "unfinished" not in stitchpipe("gc", run.place.url).stdout
    shown = stitchpipe("gc", run.place.url, "--older-than", "0s").stdout
    assert "unfinished" in shown
    assert left.exists()
    assert "older versions" in shown
    assert " removed" in stitchpipe("gc", run.place.url, "--older-than", "0s", "--yes").stdout
    assert not left.exists()
    assert stitchpipe("verify", run.place.url).returncode == 0
    assert "such as 90s" in refused("gc", run.place.url, "--older-than", "soon")


@pytest.mark.parametrize("command", ["verify", "repair", "gc"])
def test_a_folder_without_a_store_is_one_message(tmp_path, command):
    assert "no store" in refused(command, tmp_path)
    assert "no such folder" in refused(command, tmp_path / "absent")


def test_a_store_with_a_damaged_record_of_its_own_is_repaired(run):
    (Path(run.store_url) / "commits" / "store.json").write_bytes(b"{}")
    assert stitchpipe("verify", run.place.url).returncode == 1
    assert stitchpipe("repair", run.place.url).returncode == 0
    assert stitchpipe("ls", run.place.url).returncode == 0


def test_shares_and_ages_are_read():
    assert (share_of("10%"), share_of("0.5"), share_of("100%")) == (0.1, 0.5, 1.0)
    assert (seconds_of("90s"), seconds_of("1.5h"), seconds_of("2w")) == (90.0, 5400.0, 1209600.0)
    for wrong in ("150%", "many"):
        with pytest.raises(WorkspaceError, match="--sample"):
            share_of(wrong)


def test_help_teaches():
    for command, word in (
        ("verify", "Exit code"),
        ("repair", "quarantine"),
        ("gc", "abandoned"),
        ("evict", "brings it back"),
    ):
        assert word in " ".join(stitchpipe(command, "--help").stdout.split())


def test_summaries_are_counted_mended_and_collected(tmp_path):
    store = dumped(tmp_path / "s")
    store.summaries.write("moments", "sound", arrays(), CONTENT)
    store.summaries.write("moments", "bad", arrays(), CONTENT)
    store.summaries.write(WORK, "begun", arrays(), CONTENT)
    assert ", 2 summaries, " in stitchpipe("verify", store.url).stdout
    path = Path(store.url, "commits", "summaries", "moments", "bad.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    done = stitchpipe("verify", store.url, columns=400)  # paths are not cut, however long
    assert done.returncode == 1
    assert "1 problems (12 shards, 2 summaries" in done.stdout
    assert "moments/bad." in done.stdout
    done = stitchpipe("repair", store.url)
    assert done.returncode == 0
    assert "1 damaged summaries removed" in done.stdout
    assert not path.exists()
    assert ", 1 summaries, " in stitchpipe("verify", store.url).stdout
    done = stitchpipe("gc", store.url, "--older-than", "0s", "--yes", columns=400)
    assert "commits/summaries/" in done.stdout
    assert " removed" in done.stdout
    assert (store.summaries.keys(WORK), store.summaries.keys("moments")) == ([], ["sound"])
