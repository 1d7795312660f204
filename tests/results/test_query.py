"""Questions: the database reads the files themselves, and whatever they lie in or are asked, it says so or answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from stitchpipe.results import Catalogue, QueryError, query
from stitchpipe.results.parts import Parts
from storage import CheckedFiles, CorruptError, open_place
from tests.results.made_up import zoo_table
from tests.storage.object_server import aws, new_objects, object_server

__all__ = ["aws", "object_server"]

COUNT = "SELECT count(*) AS n FROM results"


def filled(place):
    catalogue = Catalogue(CheckedFiles(place))
    for number in range(3):
        part = zoo_table(3, 2, ["cka", "procrustes", "agreement"], sources=slice(2 * number, 2 * number + 2))
        catalogue.write(f"compare-{number}", part)
    return catalogue


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    return filled(open_place(tmp_path_factory.mktemp("zoo")))


@pytest.mark.parametrize("name", ["a[1]*?", "split=test", "it's", "ü {x}"])
def test_folders_may_have_any_name(tmp_path, name):
    """Neither a pattern nor a partition is read out of a path."""
    catalogue = filled(open_place(tmp_path / name))
    assert catalogue.query(COUNT)["n"].item() == 108
    assert "split" in catalogue.query("DESCRIBE results")["column_name"].tolist()
    assert catalogue.query("SELECT DISTINCT split FROM results")["split"].tolist() == ["test"]


def test_results_in_a_bucket_are_read_by_ranges_and_nothing_else_is(aws):
    catalogue = filled(new_objects())
    assert catalogue.query(COUNT)["n"].item() == 108
    catalogue.compact()
    assert catalogue.query(COUNT)["n"].item() == 108
    asked = catalogue.table("SELECT value FROM results WHERE source_model = ? LIMIT 5", ["net001"])
    assert len(asked) == 5
    url = catalogue.files.place.path(Parts.of(catalogue.files).compacted[0].key)
    for path in (url, "parts://1.parquet", "parts://*.parquet", "parts://../results"):
        with pytest.raises(QueryError):
            catalogue.query(f"SELECT * FROM read_parquet('{path}')")


def test_a_file_is_held_against_its_digest_once_and_again_when_it_was_touched(tmp_path, monkeypatch):
    catalogue, read = filled(open_place(tmp_path)), []
    ranges = type(catalogue.files.place).read_ranges

    def counted(place, key, wanted):
        read.append(key)
        return ranges(place, key, wanted)

    monkeypatch.setattr(type(catalogue.files.place), "read_ranges", counted)
    for _ in range(3):
        catalogue.query(COUNT)
    assert len(read) == 3
    path = Path(catalogue.files.place.path(read[0]))
    os.utime(path, ns=(0, 0))
    catalogue.query(COUNT)
    assert len(read) == 4
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=path.name):
        catalogue.query(COUNT)


def test_what_a_data_frame_cannot_hold_is_one_message(zoo, monkeypatch):
    assert isinstance(
        zoo.query("SELECT DATE '2020-01-01' AS day, [1, 2] AS list, {'a': 1} AS held"), pd.DataFrame
    )
    for statement in ("SELECT union_value(a := 1) AS u", "SELECT 'infinity'::DATE AS d"):
        with pytest.raises(QueryError, match="CAST"):
            zoo.query(statement)
    monkeypatch.setitem(query._ALONE, "memory_limit", "8MiB")
    with pytest.raises(QueryError, match="memory"):
        zoo.query("SELECT list(range || 'some text that takes room') FROM range(3000000)")


ASKING = """
import sys
from stitchpipe.cli.app import main
sys.argv = ["stitchpipe", "query", sys.argv[1], sys.argv[2]]
import stitchpipe.results.query as query
original = query._interruptible
def told(*arguments):
    print("asking", flush=True)
    return original(*arguments)
query._interruptible = told
from stitchpipe.cli import question_commands
main()
"""


def test_ctrl_c_ends_a_query_at_once(zoo):
    slow = "SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE a.range % 7 = b.range % 13"
    command = [sys.executable, "-c", ASKING, zoo.files.place.url, slow]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "asking\n"
            time.sleep(0.5)
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 130
    assert errors == "stitchpipe: Interrupted: the query was ended.\n"
