"""Rows by sample id and label, by our own interface and by xarray's, from here and from a worker process."""

from __future__ import annotations

import gc
import multiprocessing
import tracemalloc
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import storage
from storage import CorruptError, Encoding, LayoutError, NotFoundError, SampleIdError, open_store
from storage.format.codecs import ChunkCodec
from storage.place.local import LocalPlace
from storage.reading import shard
from tests.storage.small_dump import (
    IDS,
    LABELS,
    N_SAMPLES,
    SHAPES,
    activations,
    address,
    begin,
    dumped,
    finish,
    new_store,
    truth,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return dumped(tmp_path_factory.mktemp("reading") / "store.zarr")


@given(chosen=st.lists(st.integers(0, N_SAMPLES - 1), max_size=40))
def test_samples_are_read_in_the_order_asked_for(store, chosen):
    found = store.representation(address("logits"))
    ids = [IDS[i] for i in chosen]
    np.testing.assert_array_equal(found.read_samples(ids), activations("logits")[chosen])
    rows = found.rows_of(sample_ids=ids)
    assert rows.dtype == np.int64
    assert [found.split.sample_ids[row] for row in rows] == ids


@pytest.mark.parametrize("labels", [[3], [0, 9], ["7"], [1, "2"], []])
def test_rows_of_labels_by_number_or_name(store, labels):
    split = store.split("digits", "test")
    wanted = {int(label) for label in labels}
    rows = split.rows(labels=labels)
    assert list(rows) == [row for row, label in enumerate(split.labels) if label in wanted]
    found = store.representation(address("logits")).read_rows(rows)
    where = np.isin(LABELS[split.original_index], sorted(wanted))
    np.testing.assert_array_equal(found, truth(store, "logits")[where])


def test_labels_choose_among_the_ids_asked_for(store):
    split = store.split("digits", "test")
    ids = [IDS[i] for i in (13, 3, 4, 23, 3)]
    assert [split.sample_ids[row] for row in split.rows(sample_ids=ids, labels=[3])] == [
        IDS[i] for i in (13, 3, 23, 3)
    ]
    assert list(split.rows()) == list(range(N_SAMPLES))


def test_what_is_not_there_is_counted_and_the_nearest_named(store, tmp_path):
    found = store.representation(address())
    with pytest.raises(SampleIdError, match=r"2 of 3 .*'digit-0004'.*Did you mean 'digits-0004'"):
        found.read_samples(["digits-0001", "digit-0004", "x"])
    with pytest.raises(SampleIdError, match=r"digits/test.*labels.*11"):
        found.rows_of(labels=[11])
    with pytest.raises(SampleIdError, match="'eleven'"):
        found.rows_of(labels=["eleven"])
    bare = open_store(tmp_path / "s", mode="a")
    bare.add_split("digits", "test", IDS)
    with pytest.raises(SampleIdError, match="samples with labels"):
        bare.split("digits", "test").rows(labels=[1])


def test_only_the_rows_that_xarray_selects_are_read(store, monkeypatch):
    read = []
    original = storage.Representation.read_rows
    monkeypatch.setattr(
        storage.Representation, "read_rows", lambda self, rows: read.append(rows) or original(self, rows)
    )
    found = store.representation(address("blocks.1"))
    ids = [IDS[20], IDS[2], IDS[11]]
    by_id = found.to_xarray().set_index(sample="sample_id").sel(sample=ids)
    by_label = found.to_xarray().isel(sample=found.rows_of(labels=[3]))
    assert read == []
    np.testing.assert_array_equal(by_id.values, activations("blocks.1")[[20, 2, 11]])
    assert list(by_id.label.values) == [0, 2, 1]
    assert [len(rows) for rows in read] == [3]
    np.testing.assert_array_equal(by_label.values, truth(store, "blocks.1")[by_label_rows(store)])
    assert set(by_label.label.values) == {3}
    with pytest.raises(KeyError):
        found.to_xarray().set_index(sample="sample_id").sel(sample=["absent"])


def by_label_rows(store):
    return np.flatnonzero(LABELS[store.split("digits", "test").original_index] == 3)


@pytest.fixture(scope="module")
def chunked(tmp_path_factory):
    """A representation of row groups of 8, 8, 8 and 5 samples, in inner chunks of 2 or fewer."""
    store = dumped(tmp_path_factory.mktemp("chunked") / "s", encoding=Encoding(chunk_bytes=2 * 48 * 4))
    return store.representation(address("layer1.0"))


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 7, 8, 1000])
def test_blocks_are_a_row_group_in_order(chunked, samples):
    assert chunked.chunk_rows == 2
    wanted = truth_of(chunked)
    for group, (start, stop) in enumerate(chunked.row_groups):
        blocks = list(chunked.blocks(group, samples))
        np.testing.assert_array_equal(np.concatenate(blocks), wanted[start:stop])
        size = max(samples // 2 * 2, 2)
        assert {len(block) for block in blocks[:-1]} <= {size}
        assert 0 < len(blocks[-1]) <= size
        assert {block.dtype for block in blocks} == {chunked.dtype}


def truth_of(found):
    return activations("layer1.0")[found.split.original_index]


def test_blocks_read_check_and_decode_each_chunk_once(chunked, monkeypatch):
    asked, decoded, checked = [], [], []
    read, decode, digest = LocalPlace.read_ranges, ChunkCodec.decode, shard.chunk_digest
    monkeypatch.setattr(
        LocalPlace, "read_ranges", lambda place, key, ranges: asked.extend(ranges) or read(place, key, ranges)
    )
    monkeypatch.setattr(
        ChunkCodec,
        "decode",
        lambda *found, check: decoded.append(found[2].shape) or decode(*found, check=check),
    )
    monkeypatch.setattr(shard, "chunk_digest", lambda *found: checked.append(found[1]) or digest(*found))
    blocks = chunked.blocks(1, 4)
    assert asked == []
    next(blocks)
    assert (len(asked), len(decoded)) == (1, 2)
    list(blocks)
    assert checked == [0, 1, 2, 3]
    assert decoded == [(2, *chunked.shape[1:])] * 4
    assert [low for low, _ in asked[1:]] == [high for _, high in asked[:-1]]


def peak_of_blocks(path):
    """Return the most bytes that walking the blocks of a layer takes, after it was walked once before."""
    found = open_store(path).representation(address("wide"))
    list(found.blocks(0, 1))
    gc.collect()
    tracemalloc.start()
    for _ in found.blocks(0, 1):
        pass
    return tracemalloc.get_traced_memory()[1]


def test_blocks_hold_a_block_and_its_compressed_bytes(tmp_path, monkeypatch):
    monkeypatch.setitem(SHAPES, "wide", (64, 32, 32))
    store = new_store(tmp_path / "s", row_groups=1)
    finish(begin(store, ["wide"], encoding=Encoding(codec="none")))
    found = store.representation(address("wide"))
    block = found.chunk_rows * 64 * 32 * 32 * 4
    assert [values.nbytes for values in found.blocks(0, 1)] == [block] * 29
    # In a process of its own: what other threads allocate meanwhile would count too.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        peak = process.submit(peak_of_blocks, tmp_path / "s").result()
    assert peak < 3.5 * block < 29 * block


def test_blocks_that_are_asked_for_wrongly_or_damaged_are_refused(tmp_path):
    store = dumped(tmp_path / "s", encoding=Encoding(chunk_bytes=2 * 48 * 4))
    found = store.representation(address("layer1.0"))
    with pytest.raises(LayoutError, match="at least 1 sample"):
        found.blocks(0, 0)
    with pytest.raises(LayoutError, match="row group from 0 to 3"):
        found.blocks(4, 1)
    path = tmp_path / "s" / found.shard_file(1)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1  # in the third of four chunks
    path.write_bytes(data)
    blocks = found.blocks(1, 4)
    np.testing.assert_array_equal(next(blocks), truth_of(found)[8:12])
    with pytest.raises(CorruptError, match="others in chunk 2"):
        next(blocks)


def test_where_gives_the_same_rows(store):
    labelled = store.representation(address("logits")).to_xarray()
    kept = labelled.where(labelled.label == 3, drop=True)
    np.testing.assert_array_equal(kept.values, truth(store, "logits")[by_label_rows(store)])


def test_plain_xarray_selects_by_id_in_every_layer_of_a_tree(store):
    wanted = {"layer1.0": ("channel", "y", "x"), "blocks.1": ("token", "feature"), "logits": ("feature",)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xr.open_datatree(store.url, engine="zarr", consolidated=False)
        (dump,) = tree["digits/test"].children.values()
        for layer, shape in SHAPES.items():
            opened = xr.open_zarr(store.url, group=f"{dump.path}/{layer}", consolidated=False, chunks=None)
            for dataset in (opened, dump[layer].to_dataset()):
                array = dataset.activations
                assert array.dims == ("sample", *wanted[layer])
                assert array.shape == (N_SAMPLES, *shape)
                chosen = array.set_index(sample="sample_id").sel(sample=[IDS[5], IDS[28]])
                np.testing.assert_array_equal(chosen.values, activations(layer)[[5, 28]])
                assert list(chosen.label.values) == [5, 8]


def test_two_dumps_side_by_side_are_two_groups_of_one_tree(tmp_path):
    store = new_store(tmp_path / "s")
    for model in ("net-a", "net/b"):
        finish(begin(store, ["logits"], model=model))
    tree = xr.open_datatree(store.url, engine="zarr", consolidated=False)
    models = {child.attrs["model"]: child for child in tree["digits/test"].children.values()}
    assert set(models) == {"net-a", "net/b"}
    np.testing.assert_array_equal(models["net/b"]["logits"].activations.values, truth(store, "logits"))


@pytest.mark.slow
def test_shuffled_batches_in_the_workers_of_a_data_loader(store):
    """Workers are fresh processes: what travels is the pickled address of the rows, and each opens files itself."""
    torch = pytest.importorskip("torch")
    from tests.storage.epoch import Epoch

    found = store.representation(address("logits"))
    loader = torch.utils.data.DataLoader(
        Epoch(found, batch_size=4, seed=1), batch_size=None, num_workers=2, multiprocessing_context="spawn"
    )
    rows, values = zip(*loader, strict=True)
    assert sorted(torch.cat(rows).tolist()) == list(range(N_SAMPLES))
    np.testing.assert_array_equal(torch.cat(values).numpy(), truth(store, "logits")[torch.cat(rows).numpy()])


def test_to_look_for_what_is_not_there_costs_one_listing_however_many_models_there_are(tmp_path, monkeypatch):
    store = new_store(tmp_path / "s")
    for number in range(4):
        finish(begin(store, model=f"net-{number}"))
    listed = []
    directories = LocalPlace.directories
    monkeypatch.setattr(
        LocalPlace, "directories", lambda place, key="": listed.append(key) or directories(place, key)
    )
    with pytest.raises(NotFoundError, match="4 other models on this split.*Did you mean 'net-0'"):
        store.representation(address(model="net_0"))
    assert len(listed) == 2  # its own dumps, and the names of the others
