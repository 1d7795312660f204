"""Compaction: sorted files in place of many parts, with every number once at every moment."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from pathlib import Path

import obstore
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stitchpipe.measures import Number
from stitchpipe.results import Catalogue, CatalogueError, Making, Result, Side, Subject, compaction, sorting
from stitchpipe.results.parts import Parts
from storage import CheckedFiles, open_place
from tests.results.made_up import zoo_table
from tests.storage.crashing import Crash, crash_in
from tests.storage.object_server import aws, new_objects, object_server
from tests.storage.test_faults_crash_points import REQUESTS, CrashAfter

__all__ = ["aws", "object_server"]

BY = ["view", "index", "source_model", "source_depth", "target_model", "target_depth"]
INDICES = ["cka", "procrustes"]
MODELS, LAYERS = 3, 11


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Catalogue(CheckedFiles(open_place(tmp_path / "run")))


@pytest.fixture
def small_files(monkeypatch):
    """Several buckets, on the disk before their turn, and several files."""
    monkeypatch.setattr(sorting, "BUCKET_ROWS", 300)
    monkeypatch.setattr(compaction, "WAITING_BYTES", 20_000)
    monkeypatch.setattr(compaction, "FILE_BYTES", 20_000)


def fill(catalogue, n_parts=6):
    """Write the zoo part by part, from the last source to the first, and some numbers of it twice."""
    n = MODELS * LAYERS
    for number in reversed(range(n_parts)):
        part = zoo_table(
            MODELS, LAYERS, INDICES, sources=slice(number * n // n_parts, (number + 1) * n // n_parts)
        )
        catalogue.write(f"compare-{number}", part)
    return settled(catalogue)


def settled(catalogue):
    return catalogue.read().sort_values(BY, ignore_index=True)


def stitch(key, value):
    subject = Subject(
        source=Side("A", "l", 3, "aa", 0), target=Side("B", "l", 3, "bb", 0), view="positions", grid="8x8",
        split="test", fit_split="train", n_samples=9, n_rows=9, key=key,
    )  # fmt: skip
    return [
        Result(name, Number(value), subject, Making(method="dm")) for name in ("stitch_accuracy", "stitch_kl")
    ]


def test_compaction_keeps_every_number_once_sorted_in_few_files(catalogue, small_files):
    before = fill(catalogue)
    catalogue.write("compare-again", zoo_table(MODELS, LAYERS, INDICES, sources=slice(4, 9), seed=7))
    done = catalogue.compact()
    assert (done.files_before, done.rows_before - done.rows) == (7, 5 * 33 * 2)
    parts = Parts.of(catalogue.files)
    assert len(parts.compacted) == done.files > 1
    assert not parts.single
    assert not parts.leftovers
    after = catalogue.read()
    pd.testing.assert_frame_equal(after, before)  # sorted as by depth: features.2 comes before features.10
    assert catalogue.query("SELECT count(*) AS n, count(DISTINCT key) AS k FROM results").iloc[
        0
    ].tolist() == [2178, 1089]
    assert catalogue.files.verify() == []
    assert not list(catalogue.files.place.files("commits/partial"))


def test_statistics_of_a_compacted_file_prune(catalogue):
    fill(catalogue)
    catalogue.compact()
    (file,) = Parts.of(catalogue.files).compacted
    held = pq.ParquetFile(pa.BufferReader(catalogue.files.read(file)))
    index = held.schema_arrow.names.index("index")
    assert held.metadata.row_group(0).column(index).statistics.min == "cka"
    assert {field.type for field in held.schema_arrow} == {pa.string(), pa.int64(), pa.float64()}


def test_what_is_held_and_asked_for_is_the_same_after_compaction(catalogue, small_files):
    fill(catalogue)
    before = catalogue.held()
    asked = {"cka": before.by_index["cka"][::5], "procrustes": before.by_index["procrustes"][:3]}
    compared = catalogue.compared(asked).sort_values(BY, ignore_index=True)
    assert len(compared) == 218 + 3
    catalogue.compact()
    after = catalogue.held()
    assert {name: keys.tolist() for name, keys in after.by_index.items()} == {
        name: keys.tolist() for name, keys in before.by_index.items()
    }
    assert after.has("cka", before.by_index["cka"]).all()
    assert not after.has("cka", before.by_index["cka"] + 1).any()
    assert not after.has("rsa", before.by_index["cka"]).any()
    pd.testing.assert_frame_equal(catalogue.compared(asked).sort_values(BY, ignore_index=True), compared)


def test_later_parts_are_merged_with_what_is_not_full_and_only_past_a_number(catalogue):
    fill(catalogue, 4)
    assert catalogue.compact(least_parts=5) is None
    assert catalogue.compact(least_parts=4).files == 1
    catalogue.write("compare-x", zoo_table(1, 2, ["rsa"]))
    catalogue.write("stitch-1", stitch("stitch-1", 0.5))
    assert catalogue.compact(least_parts=1).files_before == 3
    assert catalogue.compact() is None
    assert len(catalogue.read()) == 2178 + 4 + 2


def test_stitches_are_found_by_their_key_and_other_parts_stay(catalogue):
    fill(catalogue, 2)
    for number in range(3):
        catalogue.write(f"stitch-{number}", stitch(f"stitch-{number}", number / 4))
    catalogue.write("stitch-none", [])
    catalogue.write("mine", stitch("stitch-7", 0.9))
    keys = ["stitch-2", "stitch-none", "mine", "stitch-0"]
    before = catalogue.read(keys)
    catalogue.compact()
    assert [part.name for part in Parts.of(catalogue.files).single] == ["results/mine", "results/stitch-none"]
    assert catalogue.has("stitch-1")
    assert not catalogue.has("stitch-9")
    assert set(catalogue.keys()) == {"mine", "stitch-none", "stitch-0", "stitch-1", "stitch-2"}
    pd.testing.assert_frame_equal(catalogue.read(keys), before)
    with pytest.raises(CatalogueError, match="stitch-9"):
        catalogue.read(["stitch-9"])


def test_older_parts_and_columns_that_are_not_known_are_merged(catalogue):
    fill(catalogue, 2)
    table = pq.read_table(pa.BufferReader(catalogue.files.read("results/compare-0")))
    older = table.drop_columns(["source_depth", "target_depth", "family"])
    sink = pa.BufferOutputStream()
    pq.write_table(older.append_column("energy", pa.array([0.5] * len(older))), sink, store_schema=False)
    catalogue.files.remove("results/compare-0")
    catalogue.files.write("results/compare-0", ".parquet", sink.getvalue().to_pybytes())
    catalogue.compact()
    frame = catalogue.read()
    assert frame["energy"].notna().sum() == frame["source_depth"].isna().sum() == len(older)
    assert len(frame) == 2178


@pytest.mark.parametrize("every", [2, pytest.param(1, marks=pytest.mark.slow)])
def test_a_compaction_that_is_killed_anywhere_loses_and_doubles_nothing(
    catalogue, tmp_path, monkeypatch, every
):
    before = fill(catalogue, 3)
    catalogue.compact()
    catalogue.write("compare-later", zoo_table(1, 2, ["rsa"]))
    before = settled(catalogue)
    shutil.copytree(tmp_path / "run", tmp_path / "filled")
    for point in itertools.count(0, every):
        _, finished = crash_in(monkeypatch, catalogue.compact, after=point)
        pd.testing.assert_frame_equal(settled(catalogue), before)
        assert catalogue.query("SELECT count(*) AS n FROM results")["n"].item() == len(before)
        catalogue.write("compare-even-later", zoo_table(1, 2, ["svcca"]))
        monkeypatch.setattr(compaction, "ABANDONED_S", -1.0)
        catalogue.compact()
        assert len(settled(catalogue)) == len(before) + 4
        assert not Parts.of(catalogue.files).leftovers
        assert catalogue.files.verify() == []
        if finished:
            break
        shutil.rmtree(tmp_path / "run")
        shutil.copytree(tmp_path / "filled", tmp_path / "run")
    assert point > 15


def test_of_two_compactions_one_has_its_way(catalogue, monkeypatch):
    before = fill(catalogue, 3)
    made, inner = compaction.settled, []

    def meanwhile(table):
        monkeypatch.setattr(compaction, "settled", made)
        inner.append(catalogue.compact())
        return made(table)

    monkeypatch.setattr(compaction, "settled", meanwhile)
    assert catalogue.compact() is None
    assert inner[0].rows == len(before)
    pd.testing.assert_frame_equal(settled(catalogue), before)
    assert not Parts.of(catalogue.files).leftovers


def test_many_readers_see_all_numbers_while_parts_are_written_and_merged(catalogue):
    before, stop, seen = len(fill(catalogue, 3)), threading.Event(), []

    def look():
        while not stop.is_set():
            seen.append(
                catalogue.query("SELECT count(*) AS n, count(DISTINCT (key, index)) AS k FROM results").iloc[
                    0
                ]
            )

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(4):
        catalogue.write(f"compare-x{number}", zoo_table(1, 2, [f"svcca(0.{number + 1})"]))
        catalogue.compact()
    stop.set()
    for reader in readers:
        reader.join(60)
    assert len(seen) >= 2
    assert all(row["n"] == row["k"] >= before for row in seen)


def test_a_compacted_file_that_a_repair_takes_out_is_made_again(catalogue):
    before = fill(catalogue, 3)
    catalogue.compact()
    (file,) = Parts.of(catalogue.files).compacted
    path = Path(catalogue.files.place.path(file.key))
    path.write_bytes(b"xxxx" + path.read_bytes()[4:])
    catalogue.files.repair()
    assert catalogue.read().empty
    pd.testing.assert_frame_equal(fill(catalogue, 3), before)
    catalogue.compact()
    pd.testing.assert_frame_equal(settled(catalogue), before)


@pytest.mark.slow
@pytest.mark.parametrize("answered", [True, False], ids=["before", "after"])
def test_a_compaction_in_a_bucket_that_is_killed_around_any_request_loses_and_doubles_nothing(
    aws, monkeypatch, answered
):
    monkeypatch.setattr(compaction, "ABANDONED_S", -1.0)
    for point in itertools.count(0, 4):
        catalogue, finished = Catalogue(CheckedFiles(new_objects())), False
        before = fill(catalogue, 3)
        with monkeypatch.context() as patched:
            CrashAfter(patched, obstore, REQUESTS, after=point, answered=answered)
            try:
                catalogue.compact()
                finished = True
            except Crash:
                pass
        pd.testing.assert_frame_equal(settled(catalogue), before)
        catalogue.compact()
        pd.testing.assert_frame_equal(settled(catalogue), before)
        catalogue.write("compare-later", zoo_table(1, 2, ["rsa"]))
        catalogue.compact()
        assert not Parts.of(catalogue.files).leftovers
        assert catalogue.files.verify() == []
        if finished:
            break
    assert point > 20
