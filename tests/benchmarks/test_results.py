"""Results of a zoo: bytes a row, questions beside a bare scan of the same files, thousands of small parts.

Every pair of layers has ten indices; all values are distinct, as are limits beside half of them and conditions beside
two fifths. Each stage runs in a process of its own, which tells its peak memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from math import isqrt
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.results_in_process import INDICES, LAYERS
from tests.benchmarks.tables import Table

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.benchmark

BARE = """
import duckdb, json, sys, time
connection = duckdb.connect(config={"threads": 2})
connection.execute(f"CREATE VIEW results AS SELECT * FROM read_parquet('{sys.argv[1]}/results/*.parquet')")
taken = []
for _ in range(5):
    start = time.perf_counter()
    connection.sql(sys.argv[2]).fetchall()
    taken.append(time.perf_counter() - start)
print(json.dumps(min(taken)))
"""


def stage(name, root, *arguments):
    """Run a stage in a process of its own; return what it tells."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.results_in_process",
        name,
        str(root),
        *map(str, arguments),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_questions_over_a_zoo(tmp_path, pytestconfig):
    """Questions over the results of a zoo, after compaction"""
    from tests.benchmarks.results_in_process import AGGREGATE

    models = isqrt(pytestconfig.getoption("--results-rows") // len(INDICES)) // LAYERS
    root = tmp_path / "run"
    written = stage("write", root, models, 100)
    before = size(root)
    merged = stage("compact", root)
    found, there = stage("ask", root, models), stage("held", root)
    bare = json.loads(subprocess.check_output([sys.executable, "-c", BARE, str(root), AGGREGATE], text=True))
    rows = written["rows"]
    table = Table("Questions over the results of a zoo", f"{rows:,} rows of {models * LAYERS} layers")
    for what, figure in {
        "bytes a row, 100 parts": f"{before / rows:.1f}",
        "bytes a row, compacted": f"{size(root) / rows:.1f}",
        "compaction, s (peak GiB)": f"{merged['seconds']} ({merged['peak_gib']}), {merged['files']} files",
        "first question, digests checked, s": found["first"],
        "count again, s": found["again"],
        "nearest of a target, s": found["nearest_target"],
        "nearest of a source, s": found["nearest_source"],
        "filtered aggregate, s (bare scan)": f"{found['aggregate']} ({bare:.3f})",
        "peak GiB of the questions": found["peak_gib"],
        "what is held, s (peak GiB)": f"{there['seconds']} ({there['peak_gib']})",
    }.items():
        table.add(what=what, figure=figure)
    table.show()


def test_thousands_of_small_parts(tmp_path, pytestconfig):
    """Counting over thousands of parts of 40 rows, before and after compaction"""
    root, n = tmp_path / "run", pytestconfig.getoption("--results-parts")
    stage("write_small", root, n)
    before, merged = stage("count", root), stage("compact", root)
    after = stage("count", root)
    assert before["rows"] == after["rows"] == 40 * n
    table = Table("count(*) over parts of 40 rows", f"{n:,} parts; compaction {merged['seconds']} s")
    for what, told in (("parts", before), ("compacted", after)):
        table.add(what=what, first_s=told["first"], again_s=told["again"], peak_GiB=told["peak_gib"])
    table.show()


def size(root: Path) -> int:
    """Return the bytes of all parts."""
    return sum(path.stat().st_size for path in (root / "results").glob("*.parquet"))
