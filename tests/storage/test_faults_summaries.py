"""Summaries that are cut, altered, killed, raced for and read meanwhile: whole, or not at all."""

import itertools
import multiprocessing
import os
import random
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from storage import WORK, CorruptError, NotFoundError, open_summaries
from storage.place.local import LocalPlace
from storage.summaries import file as summary_file
from storage.summaries.folder import Summaries
from tests.storage.crashing import crash_in
from tests.storage.object_server import new_objects
from tests.storage.power_loss import Disk, PowerCut
from tests.storage.small_summary import CONTENT, arrays, same

KINDS = ["moments", WORK]


@pytest.fixture
def no_flushes(monkeypatch):
    """A process that dies takes nothing out of the page cache: flushing would only take time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def folder(tmp_path, no_flushes):
    return open_summaries(tmp_path / "summaries")


def written(folder, kind="moments"):
    """Write the summary; return its file."""
    folder.write(kind, "a1", arrays(), CONTENT)
    return summary_path(folder, kind)


def summary_path(folder, kind="moments"):
    return Path(folder._file(kind, "a1").path)


def demand_damaged(folder, kind="moments"):
    """Demand that a damaged summary is named, and missing where it is one of work in progress."""
    path = str(summary_path(folder, kind))
    with pytest.raises(CorruptError) as caught:
        folder.read(kind, "a1")
    assert caught.value.file == path
    if kind == WORK:
        assert folder.read_or_none(kind, "a1") is None
        assert list(folder.damaged()) == []
    else:
        with pytest.raises(CorruptError):
            folder.read_or_none(kind, "a1")
        assert [file.path for file, _ in folder.damaged()] == [path]


def test_a_flipped_bit_anywhere_is_found(folder):
    path, generator = written(folder), random.Random(1)
    whole = path.read_bytes()
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        with pytest.raises(CorruptError, match="a1.safetensors"):
            folder.read("moments", "a1")
    for at in range(0, len(whole), 50):
        data = bytearray(whole)
        data[at] ^= 0x80
        path.write_bytes(data)
        demand_damaged(folder)
    path.write_bytes(whole)
    assert same(folder.read("moments", "a1").arrays, arrays())


def test_a_flipped_bit_in_one_array_leaves_the_others(folder):
    path = written(folder)
    data = bytearray(path.read_bytes())
    data[data.index(arrays()["mean"].tobytes()) + 3] ^= 1
    path.write_bytes(data)
    rest = {name: values for name, values in arrays().items() if name != "mean"}
    assert same(folder.read("moments", "a1", list(rest)).arrays, rest)
    with pytest.raises(CorruptError, match="'mean'"):
        folder.read("moments", "a1", ["mean"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_is_found(folder, kind):
    path = written(folder, kind)
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 15, 16, 17, 100, *range(128, len(whole), 61), len(whole) - 1):
        path.write_bytes(whole[:length])
        demand_damaged(folder, kind)
    path.write_bytes(whole)
    assert same(folder.read(kind, "a1").arrays, arrays())


def test_a_file_that_goes_on_behind_its_end_is_found(folder):
    path = written(folder)
    path.write_bytes(path.read_bytes() + b"\0")
    assert [file.path for file, _ in folder.damaged()] == [str(path)]


def test_pieces_and_ranges_are_checked_too(folder, monkeypatch):
    monkeypatch.setattr(summary_file, "PIECE_BYTES", 128)
    monkeypatch.setattr(summary_file, "FIRST_BYTES", 64)
    path, generator = written(folder), random.Random(2)
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        data = bytearray(whole)
        data[at] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        demand_damaged(folder)
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        demand_damaged(folder)


def test_a_length_that_is_damaged_asks_for_no_memory(folder, monkeypatch):
    path = written(folder)
    monkeypatch.setattr(summary_file, "FIRST_BYTES", 64)
    original = LocalPlace.read_ranges

    def read_ranges(place, key, ranges):
        assert all(stop - start <= 1 << 26 for start, stop in ranges)
        return original(place, key, ranges)

    monkeypatch.setattr(LocalPlace, "read_ranges", read_ranges)
    data = bytearray(path.read_bytes())
    data[:8] = (2**62).to_bytes(8, "little")
    path.write_bytes(data)
    demand_damaged(folder)


def test_the_summary_of_another_key_is_refused(folder):
    path = written(folder)
    folder.write("moments", "b", arrays(), CONTENT)
    folder.write("gram", "a1", arrays(), CONTENT)
    for other in (path.with_name("b.safetensors"), path.parent.with_name("gram") / "a1.safetensors"):
        path.write_bytes(other.read_bytes())
        demand_damaged(folder)


def test_damaged_work_is_written_again_and_a_damaged_kept_one_is_not(folder):
    for kind in KINDS:
        path = written(folder, kind)
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
    folder.write(WORK, "a1", arrays(), CONTENT)
    assert same(folder.read(WORK, "a1").arrays, arrays())
    path = summary_path(folder)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CorruptError, match=str(path)):
        folder.write("moments", "a1", arrays(), CONTENT)


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_that_is_killed_anywhere_leaves_all_or_nothing(tmp_path, monkeypatch, no_flushes, kind, torn):
    seen = set()
    for point in itertools.count():
        root = tmp_path / f"{point}"
        root.mkdir()
        folder = Summaries(open_summaries(root, mode="r").place)
        _, finished = crash_in(
            monkeypatch,
            lambda folder=folder: folder.write(kind, "a1", arrays(), CONTENT, durable=kind != WORK),
            after=point,
            torn=torn,
        )
        found = folder.read_or_none(kind, "a1")
        assert found is None or same(found.arrays, arrays())
        assert list(folder.damaged()) == []
        seen.add(found is not None)
        folder.write(kind, "a1", arrays(), CONTENT, durable=kind != WORK)
        assert same(folder.read(kind, "a1").arrays, arrays())
        if finished:
            break
    assert point >= 10
    assert seen == {False, True}


@pytest.mark.parametrize("kind", KINDS)
def test_power_cuts(tmp_path, monkeypatch, no_flushes, kind):
    """What was durable is there; what was not is right, or missing, and is written again."""
    lost = 0
    for point in range(45):
        root, done = tmp_path / f"{point}", False
        root.mkdir()
        disk = Disk(root.resolve())
        folder = open_summaries(root / "data", mode="r")
        with monkeypatch.context() as patched:
            disk.watch(patched, after=point)
            try:
                Summaries(folder.place).write(kind, "a1", arrays(), CONTENT, durable=kind != WORK)
                done = True
            except PowerCut:
                pass
        for seed in range(6):
            after = disk.cut_into(tmp_path / f"after{point}-{seed}", random.Random(seed))
            folder = Summaries(open_summaries(after / "data", mode="r").place)
            found = folder.read_or_none(kind, "a1")
            assert found is None or same(found.arrays, arrays())
            assert list(folder.damaged()) == []
            if done and kind != WORK:
                assert found is not None
            lost += done and found is None
            folder.write(kind, "a1", arrays(), CONTENT)
            assert same(folder.read(kind, "a1").arrays, arrays())
    assert done
    assert (lost > 0) == (kind == WORK)


def test_a_summary_of_a_killed_writer_is_made_durable_by_the_next(tmp_path, monkeypatch, no_flushes):
    """The first writer is killed between the link and the flush of the directory; then the power fails."""

    def run(disk, after):
        folder = Summaries(open_summaries(disk.root / "data", mode="r").place)
        with monkeypatch.context() as patched:
            disk.watch(patched, after=after)
            with suppress(PowerCut):
                folder.write("moments", "a1", arrays(), CONTENT)

    disks = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        disks.append(Disk((tmp_path / name).resolve()))
    whole, killed = disks
    run(whole, 10**9)
    linked = next(i for i, (name, _) in enumerate(whole.log) if name == "link")
    run(killed, linked + 1)
    run(killed, 10**9)
    for seed in range(12):
        after = killed.cut_into(tmp_path / f"after{seed}", random.Random(seed))
        found = open_summaries(after / "data", mode="r").read("moments", "a1")
        assert same(found.arrays, arrays())


NOISES = (0.0, 1e-12, 2e-12, -1e-12)


def test_of_many_writers_of_one_key_one_wins(folder):
    for turn in range(20):
        barrier, failures = threading.Barrier(len(NOISES)), []

        def write(noise, turn=turn, barrier=barrier, failures=failures):
            barrier.wait(30)
            try:
                folder.write(KINDS[turn % 2], f"k{turn}", arrays(noise=noise), CONTENT)
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=write, args=(noise,)) for noise in NOISES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert failures == []
        found = folder.read(KINDS[turn % 2], f"k{turn}").arrays
        assert any(same(found, arrays(noise=noise)) for noise in NOISES)
    assert list(folder.place.entries("commits/partial")) == []


def come_and_go(url, n_turns, seed):
    """Write and delete work under a few keys, each the last of its folder now and then."""
    folder, generator = open_summaries(url), random.Random(seed)
    for _ in range(n_turns):
        key = f"k{generator.randrange(3)}"
        if generator.random() < 0.5:
            folder.write(WORK, key, arrays(), CONTENT, durable=False)
        else:
            folder.delete(WORK, [key])


def test_readers_and_writers_beside_writers_that_delete(folder):
    """Directories come and go with their last file; a reader sees whole summaries or none."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storage.test_faults_summaries"])
    children = [context.Process(target=come_and_go, args=(folder.url, 300, seed)) for seed in range(3)]
    for child in children:
        child.start()
    whole = none = 0
    while any(child.is_alive() for child in children):
        for key in ("k0", "k1", "k2"):
            found = folder.read_or_none(WORK, key)
            assert found is None or same(found.arrays, arrays())
            whole, none = whole + (found is not None), none + (found is None)
            with suppress(NotFoundError):
                assert same(folder.read(WORK, key, ["mean"]).arrays, {"mean": arrays()["mean"]})
        assert set(folder.keys(WORK)) <= {"k0", "k1", "k2"}
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 3
    print(f"{whole} whole, {none} none")
    assert whole > 0


class TestInABucket:
    @pytest.mark.parametrize("kind", ["alter", "cut", 500, "reset"])
    def test_what_goes_wrong_once_on_the_way_is_asked_for_again(self, proxy, kind):
        folder = open_summaries(new_objects().url)
        values = {**arrays(), "gram": np.arange(30_000.0)}
        folder.write("moments", "a1", values, CONTENT)
        proxy.inject(kind, times=1, when=lambda request: request.method == "GET")
        assert same(folder.read("moments", "a1").arrays, dict(sorted(values.items())))

    def test_bytes_that_stay_altered_are_never_values(self, proxy):
        folder = open_summaries(new_objects().url)
        folder.write("moments", "a1", arrays(), CONTENT)
        folder.write(WORK, "a1", arrays(), CONTENT)
        proxy.inject("alter", times=np.inf, when=lambda request: request.method == "GET")
        with pytest.raises(CorruptError, match=f"{folder.url}/moments/a1.safetensors"):
            folder.read("moments", "a1")
        assert folder.read_or_none(WORK, "a1") is None

    def test_a_write_whose_answer_is_lost_is_its_own(self, proxy):
        folder = open_summaries(new_objects().url)
        proxy.inject("lost", times=1, when=lambda request: request.method == "PUT")
        folder.write("moments", "a1", arrays(), CONTENT)
        assert same(folder.read("moments", "a1").arrays, arrays())
