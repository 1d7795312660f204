"""Writers that are killed by the system at random moments lose no finished row group, and end in the same bytes."""

import itertools
import multiprocessing
import random
import shutil
import time
from collections import Counter

import pytest

from storage import open_store
from storage.place.local import LocalPlace
from tests.storage.small_dump import SHAPES, begin, blocks_of, new_store, tree

ROW_GROUPS = 6


def write_and_tell(url, began, log):
    """Dump in a process of its own until killed; every row group that is begun is a line in `log`."""
    dump = begin(open_store(url, mode="a"))
    began.set()
    for row_group in dump.missing_row_groups():
        with log.open("a", buffering=1) as lines:
            lines.write(f"{row_group}\n")
        dump.write(row_group, blocks_of(dump, row_group))
    dump.seal()


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.storage.small_dump", __name__])
    return context


def lines_of(log):
    """Return how many row groups were begun so far."""
    return log.read_bytes().count(b"\n") if log.exists() else 0


class Campaign:
    """Dump after dump, each in a store of its own, each killed again and again until it is sealed."""

    def __init__(self, processes, root, seed):
        self.processes, self.root, self.generator = processes, root, random.Random(seed)
        self.kills, self.phases, self.redone = 0, Counter(), 0
        self.write(new_store(root / "undisturbed", row_groups=ROW_GROUPS), root / "log")
        self.wanted = tree(root / "undisturbed")

    def write(self, store, log, moment=None):
        """Let a process write, killed a moment after some row group was begun; return whether it was.

        `moment`: how many row groups, and seconds. What it has got done by then does not depend on its speed.
        """
        began, before = self.processes.Event(), lines_of(log)
        child = self.processes.Process(target=write_and_tell, args=(store.url, began, log))
        child.start()
        assert began.wait(60)
        if moment is not None:
            row_groups, seconds = moment
            while child.is_alive() and lines_of(log) - before < row_groups:
                time.sleep(0.0005)
            time.sleep(seconds)
            child.kill()
        child.join(60)
        assert child.exitcode in (0, -9 if moment is not None else 0)
        return child.exitcode == -9

    def moment(self):
        """Draw when a writer is killed: before it begins a row group, in one, or at its end."""
        return self.generator.randrange(ROW_GROUPS + 1), self.generator.uniform(0, 0.02)

    def one_dump(self, root):
        """Kill the writers of one dump until one gets through; demand after each that nothing is half there."""
        store, log, killed = new_store(root, row_groups=ROW_GROUPS), root.with_suffix(".log"), 0
        while self.write(store, log, self.moment()):
            killed += 1
            seen = len(open_store(store.url).representations())
            assert seen in (0, len(SHAPES))
            assert store.verify() == []
            self.phases["sealed" if seen else len(list(root.rglob("row-group-*.json")))] += 1
        assert tree(root) == self.wanted
        assert begin(store).sealed
        begun = Counter(log.read_text().split())
        assert set(begun) == {str(group) for group in range(ROW_GROUPS)}
        redone = sum(begun.values()) - ROW_GROUPS
        assert redone <= killed, f"{redone} row groups done again after {killed} kills"
        self.kills, self.redone = self.kills + killed, self.redone + redone
        shutil.rmtree(root)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_writers_and_killed_resumes_redo_at_most_one_row_group_each(processes, tmp_path, kills):
    run = Campaign(processes, tmp_path, seed=kills)
    for number in itertools.count():
        if run.kills >= kills:
            break
        run.one_dump(tmp_path / f"{number}")
    print(f"{run.kills} kills after so many markers: {dict(run.phases)}; {run.redone} row groups done again")
    assert len(run.phases) >= min(4, kills // 2)  # they died in different phases
    assert run.redone <= run.kills


def test_a_store_s_own_key_is_never_written_twice(tmp_path, monkeypatch):
    """What is counted above by row groups, by files: of a resumed dump only what was missing is created."""
    store = new_store(tmp_path / "s", row_groups=ROW_GROUPS)
    first = begin(store)
    for row_group in (0, 3):
        first.write(row_group, blocks_of(first, row_group))
    staged, stage = [], LocalPlace.stage
    monkeypatch.setattr(LocalPlace, "stage", lambda place, key: staged.append(key) or stage(place, key))
    again = begin(open_store(store.url, mode="a"))
    for row_group in again.missing_row_groups():
        again.write(row_group, blocks_of(again, row_group))
    again.seal()
    shards = [key for key in staged if "/activations/c." in key]
    assert len(shards) == (ROW_GROUPS - 2) * len(SHAPES) == len(set(shards))
