import os
import random

import pytest

from storage import open_store
from tests.storage.crashing import crash_in
from tests.storage.small_dump import SHAPES, begin, dumped, finish, new_store, tree

LAYERS = ("logits",)


@pytest.fixture(autouse=True)
def no_flushes(monkeypatch):
    """A process that dies takes nothing out of the page cache: flushing would only take time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def dump_all(store):
    finish(begin(store, LAYERS))


def demand_all_or_nothing(store):
    """What readers see is nothing, or everything, and verified."""
    seen = {found.address.layer for found in store.representations()}
    assert seen in (set(), set(LAYERS))
    assert store.verify() == []
    return bool(seen)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    store = new_store(tmp_path_factory.mktemp("undisturbed") / "s", row_groups=2)
    dump_all(store)
    return tree(store.url)


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("torn", [False, True])
def test_a_dump_cut_at_any_store_operation_resumes_to_the_same_bytes(
    tmp_path, monkeypatch, undisturbed, torn, every
):
    operations, finished = crash_in(
        monkeypatch, lambda: dump_all(new_store(tmp_path / "all", row_groups=2)), after=10**6
    )
    assert finished
    assert operations > 100
    sealed_before_the_end = 0
    for point in dict.fromkeys([*range(torn, operations, every), operations - 1]):
        root = tmp_path / f"{point}"
        _, finished = crash_in(
            monkeypatch, lambda root=root: dump_all(new_store(root, row_groups=2)), after=point, torn=torn
        )
        assert not finished
        if (root / "commits" / "store.json").exists():
            sealed_before_the_end += demand_all_or_nothing(open_store(root))
        store = new_store(root, row_groups=2)
        dump_all(store)
        assert tree(root) == undisturbed
    assert 0 < sealed_before_the_end < operations // 4


def test_a_resume_cut_anywhere_too_resumes_again(tmp_path, monkeypatch, undisturbed):
    generator = random.Random(5)
    for trial in range(8):
        root = tmp_path / f"{trial}"
        crashes = 0
        while True:
            _, finished = crash_in(
                monkeypatch,
                lambda root=root: dump_all(new_store(root, row_groups=2)),
                after=generator.randrange(60),
                torn=True,
            )
            if finished:
                break
            crashes += 1
            if (root / "commits" / "store.json").exists():
                demand_all_or_nothing(open_store(root))
        assert crashes >= 2
        assert tree(root) == undisturbed


def test_a_row_group_with_its_marker_is_not_redone(tmp_path, monkeypatch):
    store = new_store(tmp_path / "s")
    for point in range(0, 400, 25):
        _, finished = crash_in(monkeypatch, lambda: finish(begin(store)), after=point)
        if finished:
            break
        dump = begin(store)
        marked = {path.name for path in (tmp_path / "s").rglob("row-group-*.json")}
        assert len(dump.missing_row_groups()) == 4 - len(marked)
    finish(begin(store))
    assert begin(store).missing_row_groups() == []


def test_leftovers_of_killed_writers_are_out_of_sight(tmp_path, monkeypatch):
    store = new_store(tmp_path / "s")
    for after in (3, 7, 20, 41):
        crash_in(monkeypatch, lambda: finish(begin(store)), after=after, torn=True)
    finish(begin(store))
    leftovers = list((tmp_path / "s" / "commits" / "partial").iterdir())
    assert leftovers
    reference = dumped(tmp_path / "reference")
    assert tree(store.url) == tree(reference.url)
    assert len(store.representations()) == len(SHAPES)
