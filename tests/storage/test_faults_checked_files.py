"""Files beside a store that are flipped, cut, killed and raced for: whole and right, or refused and named."""

import itertools
import multiprocessing
import os
import random
import shutil
import threading
from pathlib import Path

import obstore
import pytest

from storage import CheckedFiles, CorruptError, open_place
from tests.storage.crashing import crash_in
from tests.storage.object_server import new_objects
from tests.storage.power_loss import Disk, PowerCut
from tests.storage.small_run import PAGES, RECORD, demand_filled, fill, paths
from tests.storage.test_faults_crash_points import REQUESTS, Crash, CrashAfter


@pytest.fixture
def no_flushes(monkeypatch):
    """A process that dies takes nothing out of the page cache: flushing would only take time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def files(tmp_path, no_flushes):
    files = CheckedFiles(open_place(tmp_path / "run"))
    fill(files)
    return files


def test_verify_finds_every_one_of_a_hundred_flips(files):
    """One bit at a time, in files drawn in proportion to their bytes and in files drawn evenly."""
    generator, everything = random.Random(5), paths(files)
    weights = [path.stat().st_size for path in everything]
    drawn = generator.choices(everything, weights, k=60) + generator.choices(everything, k=60)
    for path in drawn:
        whole = path.read_bytes()
        data = bytearray(whole)
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        assert str(path) in {problem.file for problem in files.verify()}, path
        path.write_bytes(whole)
    assert {path.name.rpartition(".")[2] for path in drawn} >= {"json", "bin", "html", "js", "toml"}
    demand_filled(files)


@pytest.mark.parametrize("keep", [0, 0.5, -1])
def test_files_that_end_early_and_files_that_are_gone_are_named(files, keep):
    for path in paths(files):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * keep) if keep >= 0 else -1])
        assert str(path) in {problem.file for problem in files.verify()}
        path.write_bytes(whole)
    for path in paths(files):
        if "commits" not in path.parts:
            path.rename(path.with_name(".away"))
            assert str(path) in {problem.file for problem in files.verify()}
            path.with_name(".away").rename(path)
    demand_filled(files)


def test_files_in_each_others_place_are_refused(files):
    ours = [path for path in paths(files) if path.parent.name == "maps" and "commits" not in path.parts]
    first, second = ours[:2]
    (one, other) = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    for name in ("maps/dm-0", "maps/dm-1"):
        with pytest.raises(CorruptError):
            files.read(name)
    assert {problem.file for problem in files.verify()} == {str(first), str(second)}


def test_every_damaged_file_is_repaired_by_the_next_run(files, tmp_path):
    """Whatever is damaged: after a repair and a run all is as if nothing had been."""
    pristine = tmp_path / "pristine"
    shutil.copytree(files.place.url, pristine)
    for path in paths(files):
        data = bytearray(path.read_bytes())
        data[-3] ^= 16
        path.write_bytes(data)
        files.repair()
        assert files.verify() == [], path
        fill(files)
        demand_filled(files)
        shutil.rmtree(files.place.url)
        shutil.copytree(pristine, files.place.url)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("torn", [False, True])
def test_a_run_that_is_killed_at_any_point_goes_on(tmp_path, monkeypatch, no_flushes, torn, every):
    for point in itertools.count(2 * torn, every):
        files = CheckedFiles(open_place(tmp_path / str(point)))
        _, finished = crash_in(monkeypatch, lambda files=files: fill(files), after=point, torn=torn)
        assert files.verify() == []
        fill(files)
        demand_filled(files)
        files.gc(older_than_s=0).remove()
        demand_filled(files)
        if finished:
            break
        shutil.rmtree(files.place.url)
    assert point > 40


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_repair_that_is_killed_at_any_point_goes_on(files, tmp_path, monkeypatch, every):
    for path in paths(files)[::2]:
        path.write_bytes(path.read_bytes()[:-1])
    damaged = tmp_path / "damaged"
    shutil.copytree(files.place.url, damaged)
    for point in itertools.count(0, every):
        _, finished = crash_in(monkeypatch, files.repair, after=point)
        files.repair()
        assert files.verify() == []
        fill(files)
        demand_filled(files)
        if finished:
            break
        shutil.rmtree(files.place.url)
        shutil.copytree(damaged, files.place.url)
    assert point > 5


@pytest.mark.parametrize("every", [29, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("answered", [True, False], ids=["before", "after"])
def test_a_run_in_a_bucket_that_is_killed_around_any_request_goes_on(aws, monkeypatch, answered, every):
    for point in itertools.count(0, every):
        files, finished = CheckedFiles(new_objects()), False
        with monkeypatch.context() as patched:
            CrashAfter(patched, obstore, REQUESTS, after=point, answered=answered)
            try:
                fill(files)
                finished = True
            except Crash:
                pass
        assert files.verify() == []
        fill(files)
        demand_filled(files)
        if finished:
            break
    assert point > 20


@pytest.mark.parametrize("every", [8, pytest.param(3, marks=pytest.mark.slow)])
def test_power_cuts(tmp_path, monkeypatch, no_flushes, every):
    """What was answered is there; what was not is whole or missing, and the next run completes it."""
    for point in itertools.count(0, every):
        root, done = tmp_path / f"{point}", False
        root.mkdir()
        disk = Disk(root.resolve())
        with monkeypatch.context() as patched:
            disk.watch(patched, after=point)
            try:
                fill(CheckedFiles(open_place(root / "run")))
                done = True
            except PowerCut:
                pass
        for seed in range(2):
            after = disk.cut_into(tmp_path / f"after{point}-{seed}", random.Random(seed))
            files = CheckedFiles(open_place(after / "run"))
            assert files.verify() == []
            if done:
                demand_filled(files)
            fill(files)
            demand_filled(files)
        if done:
            break
    assert point > 60


def test_of_many_writers_of_one_name_one_wins_and_all_are_told(files):
    for turn in range(30):
        barrier, told = threading.Barrier(4), []

        def write(number, turn=turn, barrier=barrier, told=told):
            barrier.wait(30)
            told.append(files.write(f"raced/{turn}", ".bin", bytes([number]) * 9))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(told) == 4
        assert set(told) == {files.find(f"raced/{turn}")}
        assert files.listing("raced")[-1].digest in {file.digest for file in files.listing("raced")}
    assert files.verify() == []
    assert files.gc(older_than_s=0).uncommitted == ()


def count_up(url, n_turns, number):
    """Change one record again and again, and publish one page."""
    files = CheckedFiles(open_place(url))
    for turn in range(n_turns):
        files.update_record("n", lambda before: {"n": 1 + (before or {"n": 0})["n"]})
        if turn % 5 == 0:
            files.publish("report", {"index.html": bytes([number]) * 100, f"{number}.html": b"x"})


def demand_counted(url, children, n_changes):
    """Look on while others change one record and publish in one folder; demand that no change is lost."""
    files, seen = CheckedFiles(open_place(url)), [0]
    for child in children:
        child.start()
    while any(child.is_alive() for child in children):
        seen.append((files.record("n") or {"n": 0})["n"])
        assert seen[-1] >= seen[-2]
    for child in children:
        child.join(60)
    assert files.record("n") == {"n": n_changes}
    assert files.verify() == []
    assert len(set(files.read_published("report", "index.html"))) == 1


def test_no_change_of_a_record_is_lost_between_processes_on_a_disk(tmp_path):
    url = str(tmp_path / "run")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storage.test_faults_checked_files"])
    children = [context.Process(target=count_up, args=(url, 20, number)) for number in range(3)]
    demand_counted(url, children, 60)
    assert [child.exitcode for child in children] == [0] * 3


def test_no_change_of_a_record_is_lost_between_writers_in_a_bucket(proxy):
    url = new_objects().url
    children = [threading.Thread(target=count_up, args=(url, 10, number)) for number in range(3)]
    demand_counted(url, children, 30)


def test_a_publisher_that_is_killed_between_its_files_leaves_both_states_on_record(files, monkeypatch):
    newer = dict.fromkeys(PAGES, b"newer")
    for point in itertools.count():
        files.publish("report", PAGES)
        _, finished = crash_in(monkeypatch, lambda: files.publish("report", newer), after=point)
        assert files.verify() == []
        for name in PAGES:
            assert files.read_published("report", name) in (PAGES[name], b"newer")
        files.publish("report", newer)
        assert files.verify() == []
        if finished:
            break
    path = Path(files.place.path("report/index.html"))
    path.write_bytes(b"edited by hand")
    assert [problem.file for problem in files.verify()] == [str(path)]
    assert files.record("models/net") == RECORD
