"""One stage of the benchmark of results, in a process of its own, whose peak memory is its own: prints JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from stitchpipe.asking import nearest
from stitchpipe.results import Catalogue
from stitchpipe.run import RunPlace
from storage import CheckedFiles, open_place
from tests.results.made_up import zoo_table

LAYERS = 10
INDICES = (
    "cka", "cka_biased", "procrustes", "nbs", "cca", "svcca", "pwcca", "dm_r2", "gulp(0.1)", "ridge_cca(0.1)",
)  # fmt: skip
AGGREGATE = (
    "SELECT target_model, avg(value) AS mean, max(value) AS most FROM results "
    "WHERE index = 'cka' AND view = 'pooled' AND source_model <> target_model GROUP BY ALL"
)


def seconds(act, repeats=3):
    """Return the time of each of some runs, and what the last one gave."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        answer = act()
        taken.append(round(time.perf_counter() - start, 3))
    return taken, answer


def peak_gib():
    """Return what this process held at most; the usual count begins with what its parent held."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(line.split()[1]) / 2**20


def write(catalogue, models, n_parts):
    """Write a zoo in parts of neighbouring sources; return the rows."""
    n, rows = models * LAYERS, 0
    for number in range(n_parts):
        chosen = slice(number * n // n_parts, (number + 1) * n // n_parts)
        table = zoo_table(models, LAYERS, INDICES, sources=chosen)
        catalogue.write(f"compare-{number:06d}", table)
        rows += len(table)
    return {"rows": rows}


def write_small(catalogue, n_parts):
    """Write parts of 40 rows, each of a pair of networks of its own."""
    for number in range(n_parts):
        table = zoo_table(
            100, 1, ("cka",), sources=slice(number % 100, number % 100 + 1), view=f"v{number // 100}"
        )
        catalogue.write(f"compare-{number:06d}", table.slice(0, 40))
    return {"rows": 40 * n_parts}


def compact(catalogue):
    """Merge everything."""
    taken, done = seconds(catalogue.compact, repeats=1)
    return {"seconds": taken[0], "files": done.files, "rows": done.rows}


def count(catalogue):
    """Ask how many numbers there are: first in the process, then again."""
    taken, frame = seconds(lambda: catalogue.query("SELECT count(*) AS n FROM results"))
    return {"rows": int(frame["n"].item()), "first": taken[0], "again": min(taken[1:])}


def ask(catalogue, models):
    """Ask for the nearest layers and for an aggregate, after a first question that checks the digests."""
    found = count(catalogue)
    layer, place = f"net{models // 2:03d}/features.3", RunPlace(catalogue.files.place.url)
    for side in ("target", "source"):
        taken, frame = seconds(
            lambda side=side: nearest(place, layer, measure="cka", view="pooled", side=side), repeats=5
        )
        found[f"nearest_{side}"] = min(taken)
        assert len(frame) == 10
    taken, frame = seconds(lambda: catalogue.query(AGGREGATE), repeats=5)
    assert len(frame) == models
    return {**found, "aggregate": min(taken)}


def held(catalogue):
    """Ask which numbers are there."""
    taken, there = seconds(catalogue.held, repeats=1)
    return {"seconds": taken[0], "numbers": sum(map(len, there.by_index.values()))}


if __name__ == "__main__":
    stage, root, *arguments = sys.argv[1:]
    if stage.startswith("write"):
        os.fsync = lambda descriptor: None  # thousands of parts in one go are no run's
    made = Catalogue(CheckedFiles(open_place(Path(root))))
    stages = (write, write_small, compact, count, ask, held)
    told = {act.__name__: act for act in stages}[stage](made, *map(int, arguments))
    print(json.dumps({**told, "peak_gib": round(peak_gib(), 2)}))
