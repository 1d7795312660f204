"""After a power cut at any operation of a dump readers find nothing or all, and it goes on to the same bytes."""

import itertools
import os
import random

import pytest

from storage import open_store
from storage.errors import NotFoundError, StoreError
from storage.place import durability as flushes
from tests.storage.power_loss import Disk, PowerCut
from tests.storage.small_dump import begin, blocks_of, finish, new_store, tree

LAYERS = ("logits",)


@pytest.fixture(autouse=True)
def no_flushes(monkeypatch):
    """The disk of these tests is modelled: real flushes would only take time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Writer:
    """A dump that notes what it was told is durable."""

    def __init__(self):
        self.row_groups, self.sealed = set(), False

    def run(self, url):
        dump = begin(new_store(url, row_groups=2), LAYERS)
        for row_group in dump.missing_row_groups():
            dump.write(row_group, blocks_of(dump, row_group))
            self.row_groups.add(row_group)
        dump.seal()
        self.sealed = True


def run_until_cut(disk, monkeypatch, writer, *, after):
    """Let a writer run for so many operations; return whether it finished."""
    with monkeypatch.context() as patched:
        disk.watch(patched, after=after)
        try:
            writer.run(disk.root / "data" / "s")
        except PowerCut:
            return False
        return True


def violations(root, writer, undisturbed):
    """Return what a machine that is on again finds wrong in a store: nothing, or one line."""
    try:
        return _wrong(root, writer, undisturbed)
    except StoreError as error:
        return f"refused: {error}"


def _wrong(root, writer, undisturbed):
    seen = set()
    try:
        store = open_store(root)
    except NotFoundError:
        if writer.row_groups:
            return "a store that held row groups is gone"
    else:
        seen = {found.address.layer for found in store.representations()}
        if problems := store.verify():
            return f"not verified: {problems[0]}"
    dump = begin(new_store(root, row_groups=2), LAYERS)
    if writer.sealed and not seen:
        return "what was sealed is not there"
    if lost := writer.row_groups & set(dump.missing_row_groups()):
        return f"row groups {lost} were written and are not there"
    finish(dump)
    return "" if tree(root) == undisturbed else "other bytes after the resume"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = new_store(tmp_path_factory.mktemp("undisturbed") / "s", row_groups=2)
    finish(begin(store, LAYERS))
    return tree(store.url)


@pytest.fixture
def campaign(tmp_path, monkeypatch, undisturbed):
    """Return a function that cuts the power of fresh writers at points, and returns what was wrong after each."""
    generator, turns = random.Random(3), itertools.count()

    def run(points, *, kills=False):
        found = []
        for point in points:
            turn = next(turns)
            root = tmp_path / f"disk{turn}"
            root.mkdir()
            disk, writer = Disk(root.resolve()), Writer()
            if kills:  # the first process dies, the machine does not; the next one finds what was not flushed
                run_until_cut(disk, monkeypatch, writer, after=generator.randrange(operations(point)))
            run_until_cut(disk, monkeypatch, writer, after=point)
            after = disk.cut_into(tmp_path / f"after{turn}", generator)
            found.append(violations(after / "data" / "s", writer, undisturbed))
        return found

    def operations(point):
        return max(point, 240)

    return run


@pytest.fixture
def n_operations(tmp_path, monkeypatch):
    (tmp_path / "all").mkdir()
    disk = Disk((tmp_path / "all").resolve())
    assert run_until_cut(disk, monkeypatch, Writer(), after=10**9)
    return disk.count


def test_a_dump_survives_a_power_cut_at_any_operation(campaign, n_operations):
    assert n_operations > 200
    found = campaign(range(0, n_operations + 1, 13))
    assert [problems for problems in found if problems] == []


def test_a_resume_after_a_kill_survives_a_power_cut(campaign):
    generator = random.Random(7)
    found = campaign([generator.randrange(240) for _ in range(12)], kills=True)
    assert [problems for problems in found if problems] == []


def after_linking(name, disk):
    """Return the number of operations until a name was linked, its directory not yet flushed."""
    return next(i for i, (act, path) in enumerate(disk.log) if act == "link" and path.endswith(name)) + 1


def test_a_manifest_never_outlives_a_marker_whose_writer_was_killed_before_its_flush(
    tmp_path, monkeypatch, undisturbed
):
    def killed_then_run(name, *, after):
        (tmp_path / name).mkdir()
        disk, writer = Disk((tmp_path / name).resolve()), Writer()
        run_until_cut(disk, monkeypatch, writer, after=10**9 if name == "whole" else marker)
        if name != "whole":
            assert not writer.sealed
            run_until_cut(disk, monkeypatch, writer, after=after)
        return disk, writer

    whole, _ = killed_then_run("whole", after=0)
    marker = after_linking("row-group-00001.json", whole)
    resumed, _ = killed_then_run("resumed", after=10**9)
    disk, writer = killed_then_run("cut", after=after_linking("manifest.json", resumed))
    for seed in range(12):
        after = disk.cut_into(tmp_path / f"after{seed}", random.Random(seed))
        assert violations(after / "data" / "s", writer, undisturbed) == ""


@pytest.mark.slow
def test_many_power_cuts_at_every_operation_and_after_kills(campaign, n_operations):
    found = campaign([*range(n_operations + 1)] * 2) + campaign([*range(240)] * 2, kills=True)
    assert len(found) > 900
    assert [problems for problems in found if problems] == []


@pytest.mark.parametrize("flush", ["sync_file", "sync_directory"])
def test_without_a_flush_power_cuts_do_harm(campaign, n_operations, monkeypatch, flush):
    monkeypatch.setattr(flushes, flush, lambda path: None)
    found = campaign(range(40, n_operations, 12))
    assert sum(map(bool, found)) > len(found) // 10
