"""What is no activation, no id or another sample is refused before anything is written, and said where."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stitchpipe as sp
from stitchpipe.ingest import IngestError, ingest_batches, ingest_files
from storage import Dump, open_store

N = 24
IDS = [f"s{i:02d}" for i in range(N)]
ROWS = np.random.default_rng(0).standard_normal((N, 6)).astype("float32")


def put(run, path, **options):
    return ingest_files(run, [path], dataset="d", split="test", model="m", **options)


def saved(folder, **made):
    path = folder / "a.npz"
    np.savez(path, **made)
    return path


def changed(row, value, dtype="float32"):
    rows = ROWS.astype(dtype)
    rows[row, 2:4] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        (changed(5, np.nan), {}, ["2 NaN", "'s05'", "layer 'x'"]),
        (changed(7, -np.inf, "float16"), {}, ["2 NaN", "'s07'"]),
        (changed(3, 1e39, "float64"), {}, ["2 beyond", "'s03'", "float32"]),
        (changed(3, 7e4), {"dtype": "float16"}, ["2 beyond", "'s03'", "65504"]),
        (np.arange(N * 6).reshape(N, 6), {}, ["int64", "float32"]),
        (ROWS.astype(complex), {}, ["complex128"]),
        (ROWS[:, 0], {}, ["shape (24,)", "(n, D)"]),
        (ROWS.reshape(N, 1, 1, 2, 3), {}, ["(24, 1, 1, 2, 3)"]),
        (ROWS[:, :0], {}, ["(24, 0)"]),
        (ROWS[:9], {}, ["9 ids", "24"]),
        (ROWS, {"only": ("z",)}, ["at least one layer"]),
    ],
)
def test_what_cannot_be_stored_is_refused_and_nothing_is_made(tmp_path, rows, options, said):
    with pytest.raises(IngestError) as caught:
        put(tmp_path / "run", saved(tmp_path, x=rows, ids=IDS), **options)
    assert all(part in str(caught.value) for part in said), str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ["--ids range"]),
        ({"ids": "names"}, ["'names'", "No such file"]),
        ({"ids": IDS[:-1]}, ["24 ids", "23"]),
        ({"ids": [*IDS[:-1], "s03"]}, ["1 repeated", "'s03' in row 23"]),
        ({"ids": "y"}, ["shape (24, 6)"]),
        ({"ids": IDS, "labels": np.linspace(0, 1, N).tolist()}, ["float"]),
        ({"ids": IDS, "labels": [1, 2]}, ["24 labels"]),
    ],
)
def test_ids_and_labels_must_be_one_per_row(tmp_path, options, said):
    with pytest.raises(IngestError) as caught:
        put(tmp_path / "run", saved(tmp_path, x=ROWS, y=ROWS), **options)
    assert all(part in str(caught.value) for part in said), str(caught.value)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors", "a.parquet", "a.pt"])
def test_what_is_no_such_file_is_one_message(tmp_path, name):
    with pytest.raises(IngestError, match=r"a\.p|no such file"):
        put(tmp_path / "run", tmp_path / name, ids="range")
    (tmp_path / name).write_bytes(b"\x93NUMPY\x01\x00" + b"PK\x03\x04" * 20)
    with pytest.raises(IngestError, match="a whole file of arrays"):
        put(tmp_path / "run", tmp_path / name, ids="range")


def test_a_file_that_was_cut_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, ROWS)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(IngestError, match="572 of 576 bytes"):
        put(tmp_path / "run", path, ids="range")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}, []], dtype=object))
    with pytest.raises(IngestError, match="Python objects"):
        put(tmp_path / "run", tmp_path / "a.npz", ids="range")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([[1.0], [1.0, 2.0]]), "lengths from 1 to 2"),
        (pa.array([[1.0], None]), "1 nulls"),
        (pa.array([[1.0], [None]]), "1 nulls"),
        (pa.array([[1], [2]]), "int64"),
        (pa.array([1.0, 2.0]), "at least one layer"),
    ],
)
def test_parquet_columns_that_are_no_layers(tmp_path, column, said):
    pq.write_table(pa.table({"x": column}), tmp_path / "a.parquet")
    with pytest.raises(IngestError, match=said):
        put(tmp_path / "run", tmp_path / "a.parquet", ids="range")


def test_rows_join_a_split_by_id_whatever_their_order(tmp_path):
    labels = np.arange(N) % 3
    put(tmp_path, saved(tmp_path, x=ROWS, ids=IDS, labels=labels))
    order = np.random.default_rng(3).permutation(N)
    path = saved(tmp_path, y=ROWS[order] * 2, ids=np.array(IDS)[order], labels=labels[order])
    ingest_files(tmp_path, [path], dataset="d", split="test", model="other")
    run = sp.open(tmp_path)
    one, other = run.activations("m/x"), run.activations("other/y")
    np.testing.assert_array_equal(one.values * 2, other.values)
    assert list(one.sample_id.values) == list(other.sample_id.values)


@pytest.mark.parametrize(
    ("ids", "labels", "said"),
    [
        (
            [*IDS[:-2], "z1", "z2"],
            None,
            ["2 of them missing ('s2", "'s22'", "'s23'", "2 others ('z1', 'z2')", "row 22"],
        ),
        (IDS, np.r_[np.arange(N - 1) % 3, 7], ["1 others", "'7' of sample 's23' with '2' there"]),
    ],
)
def test_other_samples_or_labels_than_the_split_has_are_refused(tmp_path, ids, labels, said):
    put(tmp_path, saved(tmp_path, x=ROWS, ids=IDS, labels=np.arange(N) % 3))
    more = {} if labels is None else {"labels": labels}
    with pytest.raises(IngestError) as caught:
        put(tmp_path, saved(tmp_path, x=ROWS, ids=ids, **more))
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_fewer_rows_than_the_split_are_refused(tmp_path):
    put(tmp_path, saved(tmp_path, x=ROWS, ids=IDS))
    with pytest.raises(IngestError, match="4 of them missing"):
        put(tmp_path, saved(tmp_path, x=ROWS[4:], ids=IDS[4:]))


def test_other_content_under_one_name_is_another_fingerprint(tmp_path):
    first = put(tmp_path, saved(tmp_path, x=ROWS, ids=IDS))
    other = put(tmp_path, saved(tmp_path, x=changed(4, 0.5), ids=IDS))
    half = put(tmp_path, saved(tmp_path, x=ROWS, ids=IDS), dtype="float16")
    assert len({first.fingerprint, other.fingerprint, half.fingerprint}) == 3
    identity = open_store(tmp_path / "store.zarr").representations(fingerprint=first.fingerprint)[0]
    found = open_store(tmp_path / "store.zarr").representation(
        identity.address, fingerprint=first.fingerprint
    )
    assert found.identity["ingested"] is True
    assert found.identity["weights"] is None
    assert found.provenance["ingested from"] == [str(tmp_path / "a.npz")]


def test_an_interrupted_ingestion_goes_on_at_the_row_groups_that_are_missing(tmp_path, monkeypatch):
    path = saved(tmp_path, x=ROWS, ids=IDS)
    whole = put(tmp_path / "whole", path, row_groups=6)
    seen = []

    def stop(what, done, total):
        seen.append((what, done, total))
        if (what, done) == ("write", 3):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(tmp_path / "run", path, row_groups=6, report=stop)
    assert ("check", N, N) in seen
    assert sp.open(tmp_path / "run").models() == []
    written = []
    original = Dump.row_group
    monkeypatch.setattr(Dump, "row_group", lambda self, g: written.append(g) or original(self, g))
    again = put(tmp_path / "run", path, row_groups=6)
    assert written == [3, 4, 5]
    assert (again.fingerprint, again.row_groups_written) == (whole.fingerprint, 3)
    shutil.rmtree(tmp_path / "whole")
    assert open_store(tmp_path / "run" / "store.zarr").verify() == []


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ([], "at least one layer"),
        ([(IDS, {"x": ROWS[:3]})], "24 ids"),
        ([(IDS, {"x": ROWS}), (["t"], {"y": ROWS[:1]})], "batch 1"),
        ([(IDS[:2], {"x": ROWS[:2]}), (IDS[2:], {"x": ROWS[2:, :4]})], "from row 2"),
        ([(IDS, {"x": ROWS}), (IDS, {"x": ROWS})], "24 repeated"),
        ([(IDS, {"x": ROWS.astype(int)})], "int64"),
    ],
)
def test_batches_that_do_not_fit_each_other(tmp_path, made, said):
    with pytest.raises(IngestError, match=said):
        ingest_batches(tmp_path / "run", made, dataset="d", split="test", model="m")
    assert not (tmp_path / "run" / "store.zarr").exists()


def test_memory_stays_bounded_while_a_file_is_larger(tmp_path):
    import tracemalloc

    from stitchpipe.ingest.scan import BLOCK_BYTES

    path = tmp_path / "x.npy"
    rows = np.lib.format.open_memmap(path, mode="w+", dtype="float32", shape=(6000, 6000))
    rows[:] = np.arange(6000, dtype="float32")
    del rows
    tracemalloc.start()
    put(tmp_path / "run", path, ids="range", row_groups=4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 8 * BLOCK_BYTES
    assert peak < 5 * BLOCK_BYTES
