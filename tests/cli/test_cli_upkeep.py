"""Keeping a store well from the command line: what is said, done and returned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stitchpipe.config import load
from stitchpipe.upkeep import seconds_of, share_of
from stitchpipe.workspace import WorkspaceError
from storage import WORK, open_store
from tests.cli.command import in_a_process, refused, stitchpipe
from tests.storage.small_dump import dumped
from tests.storage.small_summary import CONTENT, arrays


@pytest.fixture
def folder(tiny, tmp_path):
    return tiny.copy(tmp_path / "run")


def shard_of(folder, found):
    store = open_store(folder.store)
    one = store.representation(found.address, fingerprint=found.fingerprint)
    return Path(folder.store) / one.shard_file(1)


def damaged(folder):
    """Flip a bit in one shard; return what was hit and the values it had."""
    store = open_store(folder.store)
    found = store.representations(layer="layer1.0")[0]
    before = store.representation(found.address).read_rows(slice(None))
    path = shard_of(folder, found)
    data = bytearray(path.read_bytes())
    data[40] ^= 4
    path.write_bytes(data)
    return found.address, path, before


def test_a_dump_keeps_its_sweep(tiny):
    assert load(str(tiny.folder.declaration)) == tiny.sweep


def test_verify_a_sound_store_says_what_it_read(tiny):
    for place in (tiny.folder.root, tiny.folder.store):
        done = stitchpipe("verify", place)
        assert done.returncode == 0
        assert done.stdout.startswith("sound: ")
        assert "shards" in done.stdout
    done = stitchpipe("verify", tiny.folder.root, "--sample", "10%", "--model", "A")
    assert done.returncode == 0
    assert "a sample of 10%" in done.stdout


def test_verify_and_repair_a_damaged_shard(folder):
    address, path, before = damaged(folder)
    done = stitchpipe("verify", folder.root)
    assert done.returncode == 1
    assert "1 problems" in done.stdout
    assert "Repair" in done.stdout
    dry = stitchpipe("repair", folder.root, "--dry-run")
    assert "Would be repaired" in dry.stdout
    assert path.exists()
    done = stitchpipe("repair", folder.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 layers dumped again" in done.stdout
    after = open_store(folder.store)
    assert after.verify() == []
    np.testing.assert_allclose(after.representation(address).read_rows(slice(None)), before, rtol=1e-5)
    assert "0 problems" in stitchpipe("repair", folder.root).stdout


def test_repair_without_a_sweep_says_what_to_run(folder, tiny):
    damaged(folder)
    folder.declaration.unlink()
    done = stitchpipe("repair", folder.root)
    assert done.returncode == 1
    assert "stitchpipe dump" in done.stdout
    assert stitchpipe("repair", folder.root, "--sweep", tiny.path).returncode == 0
    assert open_store(folder.store).verify() == []


def test_evict_shows_then_gives_up_and_ls_marks(folder):
    done = stitchpipe("evict", folder.root, "A/layer1.0", "--split", "test")
    assert "nothing was removed" in done.stdout
    assert len(open_store(folder.store).evicted()) == 0
    done = stitchpipe("evict", folder.root, "A/layer1.0", "--split", "test", "--yes")
    assert "1 representations evicted" in done.stdout
    listed = stitchpipe("ls", folder.root).stdout
    assert "evicted" in listed
    assert "KiB" in listed
    assert (folder.root / "results").is_dir()
    assert stitchpipe("verify", folder.root).returncode == 0
    assert "Nearest: A" in refused("evict", folder.root, "AA")
    assert "layer3.0" in refused("evict", folder.root, "A/layer3")


@pytest.mark.slow
def test_a_dump_brings_an_evicted_model_back(folder):
    assert stitchpipe("evict", folder.root, "org/B", "--yes").returncode == 0
    assert in_a_process("dump", folder.declaration, "--out", folder.root).returncode == 0
    store = open_store(folder.store)
    assert store.evicted() == []
    assert store.verify() == []


def test_gc_shows_and_removes_only_with_yes(folder):
    left = Path(folder.store) / "commits" / "partial" / "left"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"1234")
    assert "unfinished" not in stitchpipe("gc", folder.root).stdout
    shown = stitchpipe("gc", folder.root, "--older-than", "0s").stdout
    assert "unfinished" in shown
    assert left.exists()
    assert "4 B removed" in stitchpipe("gc", folder.root, "--older-than", "0s", "--yes").stdout
    assert not left.exists()
    assert "such as 90s" in refused("gc", folder.root, "--older-than", "soon")


@pytest.mark.parametrize("command", ["verify", "repair", "gc"])
def test_a_folder_without_a_store_is_one_message(tmp_path, command):
    assert "no store" in refused(command, tmp_path)
    assert "no such folder" in refused(command, tmp_path / "absent")


def test_a_store_with_a_damaged_record_of_its_own_is_repaired(folder):
    (Path(folder.store) / "commits" / "store.json").write_bytes(b"{}")
    assert stitchpipe("verify", folder.root).returncode == 1
    assert stitchpipe("repair", folder.root).returncode == 0
    assert stitchpipe("ls", folder.root).returncode == 0


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
    done = stitchpipe("verify", store.url)
    assert done.returncode == 1
    assert "1 problems (12 shards, 2 summaries" in done.stdout
    assert "moments/bad." in done.stdout
    done = stitchpipe("repair", store.url)
    assert done.returncode == 0
    assert "1 damaged summaries removed" in done.stdout
    assert not path.exists()
    assert ", 1 summaries, " in stitchpipe("verify", store.url).stdout
    done = stitchpipe("gc", store.url, "--older-than", "0s", "--yes")
    assert "commits/summaries/" in done.stdout
    assert " removed" in done.stdout
    assert (store.summaries.keys(WORK), store.summaries.keys("moments")) == ([], ["sound"])
