"""One comparison of a dumped zoo in processes of its own; prints times, peak memory and the plan as JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import threading
import time
from pathlib import Path

from stitchpipe.engine import MomentComparison, TaskResources
from stitchpipe.engine.cluster import Cluster, execute
from storage import open_store, open_summaries
from tests.benchmarks.zoo_plan import comparison_of


class Memory(threading.Thread):
    """Samples the proportional set sizes of this process and all below it: their sum, and the largest below it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.total = self.largest = 0

    def run(self) -> None:
        while True:
            own, *below = map(_proportional_bytes, _family(os.getpid()))
            self.total = max(self.total, own + sum(below))
            self.largest = max(self.largest, *below, 0)
            time.sleep(0.1)


def _family(root: int) -> list[int]:
    """Return a process and its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found = [root]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--products", default="float64")
    parser.add_argument("--intervals", action="store_true")
    options = parser.parse_args()
    store = open_store(options.store)
    comparison = comparison_of(store, intervals=options.intervals)
    plan = comparison.plan(memory_limit_bytes=2**30, precision=options.products)
    scratch = Path(options.store).parent / f"summaries-{os.getpid()}"
    work = MomentComparison.of(comparison, plan, TaskResources(store, open_summaries(scratch)), {})
    leaves = sum(len(split.leaves()) for split in plan.splits)
    memory = Memory()
    with Cluster(workers=options.workers, memory_limit_bytes=2 * 2**30) as cluster:
        client = cluster.client
        memory.start()
        begun, marks = time.perf_counter(), {}

        def report(done: int, _total: int) -> None:
            marks[done] = time.perf_counter() - begun

        numbers = sum(len(records) for records in execute(client, work, report=report))
        total = time.perf_counter() - begun
    shutil.rmtree(scratch)
    print(
        json.dumps(
            {
                "accumulate_s": marks[leaves],
                "total_s": total,
                "numbers": numbers,
                "peak_bytes": memory.total,
                "worker_peak_bytes": memory.largest,
                "planned_worker_bytes": plan.cost.peak_bytes,
                "planned_bytes_read": plan.cost.bytes_read,
                "flops": plan.cost.flops,
            }
        )
    )


if __name__ == "__main__":
    main()
