"""Markers are read once per process, whatever their number of layers, and anew where a repair made them again."""

from pathlib import Path

import numpy as np
import pytest

from storage import CorruptError
from storage.commits.recent_markers import RecentMarkers
from storage.format.keys import dump_key, marker_key
from storage.format.schema import MARKER
from storage.place.local import LocalPlace
from storage.reading import shard
from tests.storage.small_dump import SHAPES, address, dumped, truth


@pytest.fixture
def store(tmp_path):
    return dumped(tmp_path / "s")


@pytest.fixture
def reads(monkeypatch):
    """The keys of the markers that are read from the disk."""
    found, read = [], LocalPlace.read

    def counted(place, key):
        if "row-group-" in key:
            found.append(key.rpartition("/")[2])
        return read(place, key)

    monkeypatch.setattr(LocalPlace, "read", counted)
    return found


def test_one_read_serves_all_layers(store, reads):
    for layer in SHAPES:
        np.testing.assert_array_equal(
            store.representation(address(layer)).read_rows(slice(None)), truth(store, layer)
        )
    assert sorted(reads) == [f"row-group-{group:05d}.json" for group in range(4)]


def test_a_marker_that_was_made_again_is_read_again(store, reads):
    found = {layer: store.representation(address(layer)) for layer in ("logits", "layer1.0")}
    found["logits"].read(0)
    marker = store._place, marker_of(found["logits"])
    n_chunks, shards = shard.RECENT_MARKERS._kept[marker]
    older = {name: {**shard, "absmax": 1e9} for name, shard in shards.items()}
    shard.RECENT_MARKERS._kept[marker] = n_chunks, older  # before a repair
    start, stop = found["layer1.0"].row_groups[0]
    np.testing.assert_array_equal(found["layer1.0"].read(0), truth(store, "layer1.0")[start:stop])
    assert reads == ["row-group-00000.json"] * 2


def marker_of(found):
    at = found.address
    return marker_key(dump_key(at.dataset, at.split, at.model, found.fingerprint), found.layer_set, 0)


def test_a_marker_that_is_gone_or_damaged_is_still_named(store):
    found = store.representation(address("logits"))
    path = Path(store.url, marker_of(found))
    path.write_bytes(path.read_bytes().replace(b"row_group", b"row_grouq"))
    with pytest.raises(CorruptError, match="row-group-00000.json"):
        found.read(0)
    path.unlink()
    with pytest.raises(CorruptError, match=r"row-group-00000.json.*no file"):
        found.read(0)


def test_the_oldest_go_first_and_the_newest_stays(tmp_path, monkeypatch):
    place = LocalPlace(str(tmp_path.resolve()))
    read = []

    def read_record(place, key, *, kind):
        assert kind == MARKER
        read.append(key)
        return {"shards": {"a": {"chunks": {"n_bytes": [1] * int(key)}}}}

    monkeypatch.setattr("storage.commits.recent_markers.read_record", read_record)
    kept = RecentMarkers(max_chunks=10)
    for key in ("4", "5", "4", "3", "4", "3"):
        assert len(kept.shards(place, key)["a"]["chunks"]["n_bytes"]) == int(key)
    assert read == ["4", "5", "3"]
    kept.shards(place, "5")
    kept.shards(place, "4")
    assert read == ["4", "5", "3", "5", "4"]
    kept.shards(place, "100")
    kept.shards(place, "100")
    assert read[5:] == ["100"]
    kept.forget(place, "100")
    kept.shards(place, "100")
    assert read[5:] == ["100", "100"]
