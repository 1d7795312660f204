import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from storage import ReadOnlyError, open_store
from tests.storage.crashing import crash_in
from tests.storage.small_dump import SHAPES, address, begin, blocks_of, dumped, finish, new_store, tree, truth

OLD = {"older_than_s": -60}


@pytest.fixture(autouse=True)
def no_flushes(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def store(tmp_path):
    return dumped(tmp_path / "s")


def begun(store, *, row_groups=2, identity=None):
    """Begin a dump of another fingerprint and leave it."""
    dump = begin(store, identity=identity or {"weights": "w1"})
    for group in range(row_groups):
        dump.write(group, blocks_of(dump, group))
    return dump


def names(garbage):
    return [one.entry.key for dump in garbage.dumps for one in dump.leftovers]


def right(store):
    for layer in SHAPES:
        fingerprint = store.representations(layer=layer)[0].fingerprint
        found = store.representation(address(layer), fingerprint=fingerprint)
        np.testing.assert_array_equal(found.read_rows(slice(None)), truth(store, layer))


def test_a_sound_store_has_no_garbage(store):
    garbage = store.gc(**OLD)
    assert (garbage.n_bytes, garbage.dumps, garbage.partial, garbage.quarantined) == (0, (), (), ())
    before = tree(store.url)
    assert garbage.remove(quarantined=True) == 0
    assert tree(store.url) == before


def test_a_store_with_splits_and_nothing_else_has_no_garbage(tmp_path):
    store = new_store(tmp_path / "s")
    before = tree(store.url)
    store.gc(**OLD).remove()
    assert tree(store.url) == before


def test_a_dump_that_was_never_sealed_is_garbage_once_its_lease_is_over(store):
    before = tree(store.url)
    begun(store)
    assert store.gc().dumps == ()
    ((dump, newest),) = store.gc().in_use
    assert dump in begin(store, identity={"weights": "w1"}).identity.key
    assert abs(newest - time.time()) < 600
    garbage = store.gc(now_s=time.time() + 2 * 86400)
    assert garbage.in_use == ()
    assert {one.why for one in garbage.dumps[0].leftovers} > {"a layer set that was never sealed"}
    assert garbage.n_bytes == garbage.remove() > 0
    assert tree(store.url) == before
    assert store.verify() == []
    assert not Path(store.url, dump).exists()


def test_markers_go_before_shards_and_the_identity_last(store):
    begun(store)
    (dump,) = store.gc(**OLD).dumps
    stages = [one.stage for one in dump.leftovers]
    assert stages == sorted(stages)
    assert "row-group-" in dump.leftovers[0].entry.key
    assert dump.leftovers[-1].entry.key.endswith("commits/dump.json")


def test_a_pass_of_a_sealed_dump_that_was_never_sealed_leaves_the_sealed_layers(tmp_path):
    store = dumped(tmp_path / "s", layers=["layer1.0"])
    before = tree(store.url)
    dump = begin(store)
    dump.write(0, blocks_of(dump, 0))
    garbage = store.gc(**OLD)
    assert garbage.dumps
    assert not [key for key in names(garbage) if "layer1.0" in key]
    garbage.remove()
    assert tree(store.url) == before
    finish(begin(store))
    assert store.verify() == []


def test_a_shard_without_marker_or_manifest_is_garbage(store):
    dump = begun(store, row_groups=1)
    for marker in Path(store.url, dump.identity.key).rglob("row-group-*.json"):
        marker.unlink()
    assert any("c.0" in key for key in names(store.gc(**OLD)))


def test_unfinished_files_have_a_lease_of_their_own(store, monkeypatch):
    crash_in(monkeypatch, lambda: begun(store), after=40, torn=True)
    old, new = (Path(store.url, "commits", "partial", name) for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"1234")
    os.utime(old, (time.time() - 90000,) * 2)
    garbage = store.gc()
    assert [entry.key for entry in garbage.partial] == ["commits/partial/old"]
    assert garbage.remove() == 4
    assert not old.exists()
    assert new.exists()


def test_an_unfinished_file_that_grew_since_is_left(store):
    path = Path(store.url, "commits", "partial", "slow")
    path.write_bytes(b"1")
    os.utime(path, (time.time() - 90000,) * 2)
    garbage = store.gc()
    path.write_bytes(b"12")
    assert garbage.remove() == 0
    assert path.exists()


def test_quarantined_files_are_listed_and_removed_only_when_asked(store):
    shard = next(Path(store.url).rglob("logits/activations/c.1.0"))
    shard.write_bytes(b"")
    store.repair()
    finish(begin(store))
    garbage = store.gc(**OLD)
    assert len(garbage.quarantined) == 1
    garbage.remove()
    assert store.gc().quarantined
    garbage.remove(quarantined=True)
    assert store.gc().quarantined == ()
    assert store.verify() == []
    right(store)


def test_what_a_repair_keeps_for_the_next_dump_is_no_garbage(store):
    next(Path(store.url).rglob("logits/activations/c.1.0")).unlink()
    assert store.repair().redo
    assert names(store.gc(**OLD)) == []
    dump = begin(store)
    assert dump.missing_row_groups() == [1]
    finish(dump)
    assert store.verify() == []


def test_a_dump_with_a_damaged_manifest_is_left_alone(store):
    manifest = next(Path(store.url).rglob("manifest.json"))
    manifest.write_bytes(b"{}")
    assert names(store.gc(**OLD)) == []
    next(Path(store.url).rglob("row-group-00002.json")).unlink()
    store.repair()
    assert names(store.gc(**OLD)) == []
    finish(begin(store))
    right(store)


def test_a_reader_may_not_collect(store):
    with pytest.raises(ReadOnlyError):
        open_store(store.url).gc()


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_crash_at_any_removal_leaves_the_committed_data_and_a_dump_resumes(tmp_path, monkeypatch, every):
    def abandoned(store):
        return begin(store, ["logits"], identity={"weights": "w1"})

    template = new_store(tmp_path / "template", row_groups=2)
    finish(begin(template, ["logits"]))
    dump = abandoned(template)
    dump.write(0, blocks_of(dump, 0))
    sealed = begin(template, ["logits"]).identity.key
    committed = {name: data for name, data in tree(template.url).items() if sealed in name}
    for point in range(0, 1000, every):
        root = tmp_path / f"{point}"
        shutil.copytree(template.url, root)
        store = open_store(root, mode="a")
        garbage = store.gc(**OLD)
        _, finished = crash_in(monkeypatch, garbage.remove, after=point)
        assert {name: data for name, data in tree(root).items() if sealed in name} == committed
        assert store.verify() == []
        if point % 2:
            store.gc(**OLD).remove()
            assert store.gc(**OLD).n_bytes == 0
        finish(abandoned(store))
        assert store.verify() == []
        if finished:
            break
    assert point > 20


@pytest.mark.parametrize("at", [1, 4, 6, 12])
def test_a_writer_that_starts_meanwhile_ends_in_a_right_store(store, monkeypatch, at):
    begun(store)
    garbage = store.gc(**OLD)
    place_type = type(store._place)
    original, removed = place_type.remove, []

    def remove(place, key):
        original(place, key)
        removed.append(key)
        if len(removed) == at:
            finish(begin(open_store(store.url, mode="a"), identity={"weights": "w1"}))

    monkeypatch.setattr(place_type, "remove", remove)
    garbage.remove()
    monkeypatch.undo()
    assert len([key for key in removed if "partial" not in key]) == at
    fresh = open_store(store.url, mode="a")
    assert fresh.verify() == []
    assert len(fresh.representations()) == 2 * len(SHAPES)


def test_a_marker_for_a_shard_that_was_removed_just_then_goes_too(store, monkeypatch):
    """A writer adopts a shard, then it is removed, then it is marked: nothing worse can happen, and it resumes."""
    dump = begun(store, row_groups=1)
    (marker,) = Path(store.url, dump.identity.key).rglob("row-group-00000.json")
    content = marker.read_bytes()
    garbage = store.gc(**OLD)
    place_type = type(store._place)
    original, removed = place_type.remove, []

    def remove(place, key):
        original(place, key)
        removed.append(key)
        if "/activations/c." in key and not marker.exists():
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.with_name("row-group-00003.json").write_bytes(content)

    monkeypatch.setattr(place_type, "remove", remove)
    garbage.remove()
    monkeypatch.undo()
    assert not marker.with_name("row-group-00003.json").exists()
    finish(begin(store, identity={"weights": "w1"}))
    assert store.verify() == []
