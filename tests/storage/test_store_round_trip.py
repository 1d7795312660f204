import itertools
import json
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st

import storage
from storage import AmbiguousError, Encoding, LayoutError, NotFoundError, open_store
from storage.format.codecs import CODECS
from storage.place.local import LocalPlace
from tests.storage.small_dump import (
    IDS,
    LABELS,
    N_SAMPLES,
    SHAPES,
    activations,
    address,
    begin,
    blocks_of,
    dumped,
    finish,
    new_store,
    tree,
    truth,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return dumped(tmp_path_factory.mktemp("round") / "store.zarr")


@pytest.mark.parametrize("layer", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_layout_and_dtype_reads_back_bit_for_bit(tmp_path, layer, dtype):
    store = dumped(tmp_path / "s.zarr", dtype=dtype)
    found = open_store(tmp_path / "s.zarr").representation(address(layer))
    wanted = truth(store, layer, dtype=dtype)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found.read_rows(slice(None)), wanted)
    for group, (start, stop) in enumerate(found.row_groups):
        np.testing.assert_array_equal(found.read(group), wanted[start:stop])


def test_a_split_keeps_ids_labels_and_original_positions(store):
    split = open_store(store.url).split("digits", "test")
    assert split.n_samples == N_SAMPLES
    assert [IDS[i] for i in split.original_index] == list(split.sample_ids)
    np.testing.assert_array_equal(split.labels, LABELS[split.original_index])
    assert split.class_names == tuple(map(str, range(10)))
    assert split.row_groups == ((0, 8), (8, 16), (16, 24), (24, 29))
    assert store.splits() == [("digits", "test")]


def test_a_finished_dump_begun_again_has_nothing_to_do(store):
    before = tree(store.url)
    dump = begin(open_store(store.url, mode="a"))
    assert dump.sealed
    assert dump.missing_row_groups() == []
    dump.seal()
    assert tree(store.url) == before


def test_adding_the_same_split_again_changes_nothing(tmp_path):
    before = tree(new_store(tmp_path / "s").url)
    assert tree(new_store(tmp_path / "s").url) == before


def test_more_layers_under_the_same_fingerprint_are_a_second_pass(tmp_path):
    store = new_store(tmp_path / "s")
    first = begin(store, ["layer1.0"])
    finish(first)
    shards = {key: data for key, data in tree(store.url).items() if "layer1.0" in key}
    second = begin(store, ["layer1.0", "logits"])
    assert second.fingerprint == first.fingerprint
    assert not second.sealed
    assert list(second.layers) == ["logits"]
    for group in second.missing_row_groups():
        start, stop = second.split.row_groups[group]
        second.write(group, {**blocks_of(second, group), "layer1.0": np.full((stop - start, 3, 4, 4), 9.0)})
    second.seal()
    assert begin(store, ["logits", "layer1.0"]).sealed
    for layer in ("layer1.0", "logits"):
        np.testing.assert_array_equal(
            store.representation(address(layer)).read_rows(slice(None)), truth(store, layer)
        )
    after = tree(store.url)
    assert {key: after[key] for key in shards} == shards
    assert store.verify() == []


def test_an_interrupted_pass_is_adopted_by_a_wider_one(tmp_path):
    store = new_store(tmp_path / "s")
    narrow = begin(store, ["layer1.0"])
    for group in (0, 2):
        narrow.write(group, blocks_of(narrow, group))
    finish(begin(store))
    finish(begin(store, ["layer1.0"]))
    np.testing.assert_array_equal(store.representation(address()).read_rows(slice(None)), truth(store))
    assert {found.address.layer for found in store.representations()} == set(SHAPES)
    assert store.verify() == []


def test_other_weights_under_one_name_are_another_representation(tmp_path):
    store = dumped(tmp_path / "s")
    finish(begin(store, identity={"weights": "w1"}), scale=2.0)
    with pytest.raises(AmbiguousError) as caught:
        store.representation(address())
    assert len(caught.value.fingerprints) == 2
    assert all(fingerprint in str(caught.value) for fingerprint in caught.value.fingerprints)
    scales = set()
    for fingerprint in caught.value.fingerprints:
        found = store.representation(address(), fingerprint=fingerprint)
        assert found.fingerprint == fingerprint
        assert store.representation(address(), fingerprint=fingerprint[:12]).digest == found.digest
        scales.add(float(np.abs(found.read(0)).max() / np.abs(truth(store)[:8]).max()))
    assert scales == {1.0, 2.0}
    assert len(store.representations(layer="logits")) == 2
    with pytest.raises(NotFoundError, match="other fingerprints"):
        store.representation(address(), fingerprint="0" * 64)


def test_listing_shows_sealed_layers_only_and_filters(tmp_path):
    store = dumped(tmp_path / "s")
    begin(store, ["logits"], model="unfinished").write(0, {"logits": truth(store, "logits")[:8]})
    listed = store.representations()
    assert [found.address for found in listed] == sorted(address(layer) for layer in SHAPES)
    assert {found.shape for found in listed} == {(N_SAMPLES, *shape) for shape in SHAPES.values()}
    assert store.representations(layer="logits") == [
        found for found in listed if found.address.layer == "logits"
    ]
    assert store.representations(model="unfinished") == []
    assert store.representations(fingerprint="not hex") == []
    assert listed[0].n_bytes == store.representation(listed[0].address).n_bytes > 0


def test_identity_decides_and_provenance_does_not(tmp_path):
    store = dumped(tmp_path / "s", provenance={"torch": "1"})
    again = begin(store, provenance={"torch": "2"})
    assert again.sealed
    assert store.representation(address()).provenance == {"torch": "1"}
    assert not begin(store, identity={"weights": "w0", "batch_size": 8}).sealed


def test_a_dump_finished_under_other_versions_shows_both(tmp_path):
    store = new_store(tmp_path / "s")
    first = begin(store, provenance={"torch": "1"})
    first.write(1, blocks_of(first, 1))
    finish(begin(store, provenance={"torch": "2"}))
    runs = store.representation(address()).provenances
    assert sorted(run["torch"] for run in runs) == ["1", "2"]


def test_a_representation_pickles_small_and_reads_elsewhere(store):
    found = store.representation(address())
    raw = pickle.dumps(found)
    assert len(raw) < 8000
    code = (
        "import sys, pickle; r = pickle.loads(sys.stdin.buffer.read()); "
        "assert not {'torch', 'dask', 'xarray', 'prefect'} & set(sys.modules), 'heavy imports'; "
        "sys.stdout.buffer.write(r.read(1).tobytes())"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], input=raw, capture_output=True, check=True, timeout=60
    )
    assert child.stdout == found.read(1).tobytes()


def test_digest_says_whether_values_are_equal(tmp_path, store):
    other = dumped(tmp_path / "s")
    assert other.representation(address()).digest == store.representation(address()).digest
    assert other.representation(address("logits")).digest != store.representation(address()).digest


@given(data=st.data())
def test_rows_are_those_asked_for_in_the_order_asked_for(store, data):
    found, wanted = store.representation(address("logits")), truth(store, "logits")
    position = st.integers(-N_SAMPLES, N_SAMPLES - 1)
    bound = st.none() | st.integers(-40, 40)
    rows = data.draw(
        st.one_of(
            st.lists(position, max_size=12).map(lambda chosen: np.array(chosen, dtype=np.int64)),
            st.builds(slice, bound, bound, st.none() | st.integers(1, 5) | st.integers(-5, -1)),
            st.lists(st.booleans(), min_size=N_SAMPLES, max_size=N_SAMPLES).map(np.array),
        )
    )
    np.testing.assert_array_equal(found.read_rows(rows), wanted[rows])


def test_rows_are_read_by_the_chunks_that_hold_them_and_no_others(tmp_path, monkeypatch):
    store = new_store(tmp_path / "s", n_samples=96, row_groups=2)
    finish(begin(store, encoding=Encoding(chunk_bytes=4 * activations("layer1.0")[0].nbytes)))
    found = store.representation(address())
    markers = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("row-group-*.json"))]
    tables = [marker["content"]["shards"]["layer1.0"]["chunks"]["n_bytes"] for marker in markers]
    assert [len(table) for table in tables] == [12, 12]
    asked = []
    original = LocalPlace.read_ranges
    monkeypatch.setattr(
        LocalPlace,
        "read_ranges",
        lambda self, key, ranges: asked.extend(ranges) or original(self, key, ranges),
    )
    rows = np.array([70, 0, 3, 9, 47, 70])  # chunks 0, 2 and 11 of the first shard, 5 of the second
    np.testing.assert_array_equal(found.read_rows(rows), truth(store)[rows])
    assert sum(b - a for a, b in asked) == sum(tables[0][c] for c in (0, 2, 11)) + tables[1][5]
    asked.clear()
    np.testing.assert_array_equal(found.read(1), truth(store)[48:])
    assert asked == [(0, found.record.shards[1].n_bytes + 1)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    "chunk_bytes", [500, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 1 << 20))]
)
def test_every_codec_and_chunk_size_reads_back_by_us_and_by_zarr(tmp_path, codec, dtype, chunk_bytes):
    store = new_store(tmp_path / "s")
    finish(begin(store, dtype=dtype, encoding=Encoding(codec=codec, chunk_bytes=chunk_bytes)))
    for layer in SHAPES:
        found = store.representation(address(layer))
        wanted = truth(store, layer, dtype=dtype)
        np.testing.assert_array_equal(found.read_rows(slice(None)), wanted)
        array = zarr.open_array(Path(store.url, found.shard_file(0)).parent, mode="r")
        np.testing.assert_array_equal(array[...], wanted)
        assert array.chunks[0] <= max(1, chunk_bytes // wanted[0].nbytes)


def test_rows_that_come_in_batches_of_any_size_make_the_same_bytes(tmp_path):
    whole = dumped(tmp_path / "whole", encoding=Encoding(chunk_bytes=500))
    store = new_store(tmp_path / "parts")
    dump = begin(store, encoding=Encoding(chunk_bytes=500))
    with ThreadPoolExecutor(3) as executor:
        for group in dump.missing_row_groups():
            blocks = blocks_of(dump, group)
            n_rows = len(blocks["logits"])
            with dump.row_group(group, executor=executor) as writer:
                for low, high in itertools.pairwise([0, *sorted({1, 4, n_rows - 2}), n_rows]):
                    writer.append({layer: block[low:high] for layer, block in blocks.items()})
    dump.seal()
    assert tree(store.url) == tree(whole.url)


def test_parts_of_a_dump_end_in_the_bytes_of_one_worker(tmp_path):
    whole = dumped(tmp_path / "whole")
    store = new_store(tmp_path / "parts")
    for part in (2, 0, 1):
        dump = begin(store)
        groups = dump.missing_row_groups(part=part, parts=3)
        assert len(groups) in (1, 2)
        for group in groups:
            dump.write(group, blocks_of(dump, group))
    begin(store).seal()
    assert tree(store.url) == tree(whole.url)
    with pytest.raises(LayoutError, match="from 0 to 2"):
        begin(store).missing_row_groups(part=3, parts=3)


@pytest.mark.parametrize(("batch_size", "window"), [(4, 1), (4, 2), (7, 8), (100, 2), (1, 3)])
def test_an_epoch_holds_every_row_once_in_full_batches(store, batch_size, window):
    found, wanted = store.representation(address()), truth(store)
    batches = list(found.shuffled_batches(batch_size, np.random.default_rng(3), window_row_groups=window))
    sizes = [len(rows) for rows, _ in batches]
    full, rest = divmod(N_SAMPLES, batch_size)
    assert sizes == [batch_size] * full + [rest] * (rest > 0)
    for rows, values in batches:
        np.testing.assert_array_equal(values, wanted[rows])
    seen = np.concatenate([rows for rows, _ in batches])
    assert sorted(seen) == list(range(N_SAMPLES))
    assert list(seen) != list(range(N_SAMPLES))


def test_the_order_of_an_epoch_follows_from_the_generator(store):
    found = store.representation(address("logits"))

    def rows(seed):
        return [
            list(rows)
            for rows, _ in found.shuffled_batches(5, np.random.default_rng(seed), window_row_groups=2)
        ]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_an_epoch_reads_each_shard_once(store, monkeypatch):
    read = []
    original = storage.Representation.read
    monkeypatch.setattr(storage.Representation, "read", lambda self, g: read.append(g) or original(self, g))
    list(store.representation(address()).shuffled_batches(4, np.random.default_rng(0), window_row_groups=2))
    assert sorted(read) == [0, 1, 2, 3]


def test_the_labelled_array_is_lazy_and_indexes_like_numpy(store, monkeypatch):
    read = []
    original = storage.Representation.read_rows
    monkeypatch.setattr(
        storage.Representation, "read_rows", lambda self, rows: read.append(rows) or original(self, rows)
    )
    labelled = store.representation(address()).to_xarray()
    assert labelled.dims == ("sample", "channel", "y", "x")
    part = labelled[3:20:4, [2, 0]].isel(y=1, x=slice(None, None, -1))
    assert read == []
    wanted = truth(store)
    np.testing.assert_array_equal(part.values, wanted[3:20:4][:, [2, 0]][:, :, 1, ::-1])
    np.testing.assert_array_equal(labelled[5].values, wanted[5])
    np.testing.assert_array_equal(labelled[[7, 1, 7]].values, wanted[[7, 1, 7]])
    chosen = labelled.isel(sample=np.flatnonzero(labelled.label.values == 3))
    assert set(chosen.label.values) == {3}
    assert list(labelled.sample_id.values) == list(store.split("digits", "test").sample_ids)
    assert labelled.attrs["layer"] == "layer1.0"
    assert store.representation(address("blocks.1")).to_xarray().dims == ("sample", "token", "feature")
    assert store.representation(address("logits")).to_xarray().dims == ("sample", "feature")


def test_xarray_opens_the_store_without_our_code_and_without_warnings(store):
    split = store.split("digits", "test")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree_of_all = xr.open_datatree(store.url, engine="zarr", consolidated=False)
        (dump,) = tree_of_all["digits/test"].children.values()
        assert set(dump.children) == set(SHAPES)
        for layer in SHAPES:
            array = xr.open_zarr(store.url, group=f"{dump.path}/{layer}", consolidated=False, chunks=None)
            np.testing.assert_array_equal(array.activations.values, truth(store, layer))
            assert bool(array.sealed.values)
            assert set(array.activations.coords) == {"sample_id", "label"}
            assert list(array.sample_id.values) == list(split.sample_ids)
            np.testing.assert_array_equal(array.label.values, split.labels)
            np.testing.assert_array_equal(dump[layer].activations.values, truth(store, layer))
    assert tree_of_all["digits/test"].attrs["class_names"] == list(split.class_names)
    assert dump.attrs["identity"] == {"weights": "w0"}


def test_foreign_readers_see_an_unfinished_layer_as_unsealed_and_nan(tmp_path):
    store = new_store(tmp_path / "s")
    dump = begin(store, ["logits"])
    dump.write(0, blocks_of(dump, 0))
    found = xr.open_zarr(store.url, group=f"{dump.identity.key}/logits", consolidated=False, chunks=None)
    assert not bool(found.sealed.values)
    assert np.isnan(found.activations.values[8:]).all()
    assert np.isfinite(found.activations.values[:8]).all()


def test_labels_are_optional(tmp_path):
    store = open_store(tmp_path / "s", mode="a")
    store.add_split("digits", "test", IDS, row_groups=4)
    finish(begin(store, ["logits"]))
    labelled = store.representation(address("logits")).to_xarray()
    assert list(labelled.coords) == ["sample_id"]
    assert store.split("digits", "test").labels is None
