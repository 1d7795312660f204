import os
from pathlib import Path

import numpy as np
import pytest

from storage import CorruptError, EvictedError, NotFoundError, ReadOnlyError, StoreError, open_store
from storage.place.contract import COMMITS
from tests.storage.crashing import crash_in
from tests.storage.small_dump import SHAPES, address, begin, dumped, finish, tree, truth


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return dumped(tmp_path / "s")


def shards(store, layer=""):
    return sorted(path for path in Path(store.url).rglob("activations/c.*") if layer in str(path))


def values(store, layer="logits"):
    return store.representation(address(layer)).read_rows(slice(None))


def test_evicting_gives_the_bytes_back_and_keeps_everything_else(store):
    before = tree(store.url)
    (sealed,) = store.representations(layer="logits")
    evicted = store.evict(layer="logits")
    assert evicted.n_bytes == sealed.n_bytes > 0
    gone = set(before) - set(tree(store.url))
    assert len(gone) == 4
    assert all("logits/activations/c." in name for name in gone)
    assert {found.address.layer for found in store.representations()} == set(SHAPES) - {"logits"}
    (listed,) = store.evicted()
    assert evicted.layers == (listed,)
    assert (listed.address, listed.fingerprint, listed.shape, listed.dtype, listed.n_bytes) == (
        sealed.address,
        sealed.fingerprint,
        sealed.shape,
        sealed.dtype,
        sealed.n_bytes,
    )
    assert store.verify() == []


def test_opening_what_was_evicted_says_when_and_what_to_do(store):
    store.evict(layer="logits")
    for fingerprint in (None, store.evicted()[0].fingerprint):
        with pytest.raises(EvictedError, match=r"evicted on 20\d\d-\d\d-\d\d") as caught:
            store.representation(address("logits"), fingerprint=fingerprint)
        assert isinstance(caught.value, NotFoundError)
        assert "Dump it again" in caught.value.remedy
    with pytest.raises(NotFoundError) as other:
        store.representation(address("logits"), fingerprint="f" * 64)
    assert not isinstance(other.value, EvictedError)


def test_a_later_dump_asks_for_what_was_evicted_only_and_gives_the_same_bytes(store):
    before = {path: path.read_bytes() for path in shards(store)}
    store.evict(layer="logits")
    dump = begin(store)
    assert set(dump.layers) == {"logits"}
    assert dump.missing_row_groups() == [0, 1, 2, 3]
    finish(dump)
    assert store.evicted() == []
    assert store.evict(layer="no such layer").layers == ()
    np.testing.assert_array_equal(values(store), truth(store, "logits"))
    assert {path: path.read_bytes() for path in shards(store)} == before
    assert store.verify() == []


def test_filters_choose(store):
    finish(begin(store, ["logits"], identity={"weights": "w1"}))
    fingerprints = {found.fingerprint for found in store.representations(layer="logits")}
    first, second = sorted(fingerprints)
    assert len(store.evict(layer="logits", fingerprint=first[:9]).layers) == 1
    assert store.representation(address("logits")).fingerprint == second
    assert store.evict(model="another").layers == ()
    assert len(store.evict(dataset="digits", split="test").layers) == len(SHAPES)
    assert store.representations() == []
    assert len(store.evicted()) == len(SHAPES) + 1
    assert store.evict().layers == ()


def test_a_store_opened_for_reading_evicts_nothing(store):
    with pytest.raises(ReadOnlyError):
        open_store(store.url).evict()


def test_a_crash_at_any_operation_is_harmless(tmp_path, store, monkeypatch):
    total = len(shards(store, "logits"))
    for point in range(1000):
        _, finished = crash_in(monkeypatch, lambda: store.evict(layer="logits"), after=point)
        again = open_store(store.url, mode="a")
        assert again.verify() == []
        others = {found.address.layer for found in again.representations()}
        assert set(SHAPES) - {"logits"} <= others
        if "logits" in others:
            np.testing.assert_array_equal(values(again), truth(again, "logits"))
        elif point % 3 == 0:
            finish(begin(again))
            np.testing.assert_array_equal(values(again), truth(again, "logits"))
            assert again.verify() == []
        else:
            again.evict(layer="logits")
            assert shards(again, "logits") == []
            finish(begin(again))
            assert len(shards(again, "logits")) == total
        if finished:
            break
    assert point > 5


def test_garbage_collection_finishes_an_eviction_that_was_cut(store, monkeypatch):
    crash_in(monkeypatch, lambda: store.evict(layer="logits"), after=7)
    left = shards(store, "logits")
    assert left
    garbage = store.gc(older_than_s=-60)
    assert {one.entry.key for dump in garbage.dumps for one in dump.leftovers} == {
        str(path.relative_to(store.url)) for path in left
    }
    garbage.remove()
    assert shards(store, "logits") == []
    finish(begin(store))
    assert store.verify() == []


def test_whoever_reads_meanwhile_gets_an_error_or_the_right_values(store):
    found = store.representation(address("logits"))
    np.testing.assert_array_equal(found.read(0), truth(store, "logits")[:8])
    store.evict(layer="logits")
    with pytest.raises(CorruptError):
        found.read(0)
    finish(begin(store), noise=1e-6)
    for group, (start, stop) in enumerate(found.row_groups):
        try:
            read = found.read(group)
        except StoreError:
            continue
        np.testing.assert_allclose(read, truth(store, "logits")[start:stop], rtol=1e-5)


def test_a_dump_that_begins_meanwhile_keeps_the_shards_that_are_left(store, monkeypatch):
    place_type = type(store._place)
    original, removed = place_type.remove, []

    def remove(place, key):
        original(place, key)
        removed.append(key)
        if len(removed) == 2:
            finish(begin(open_store(store.url, mode="a")))

    monkeypatch.setattr(place_type, "remove", remove)
    store.evict(layer="logits")
    assert len([key for key in removed if COMMITS not in key]) == 2
    fresh = open_store(store.url)
    assert fresh.verify() == []
    np.testing.assert_array_equal(values(fresh), truth(fresh, "logits"))
