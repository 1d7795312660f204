"""From what leaves left to numbers: all tasks of a comparison, files and all, against bare calls in memory."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from stitchpipe.engine import Comparison
from tests.benchmarks.bare_pairs import Job, bare, bare_axes
from tests.engine.conftest import all_pairs, written
from tests.engine.tasks import finished, formed

pytestmark = pytest.mark.benchmark

FOUR = ("cka", "procrustes", "cca", "svcca")
TEN = (*FOUR, "cka_biased", "nbs", "pwcca", "dm_r2", "gulp(0.1)", "ridge_cca(0.1)")


@dataclass(frozen=True)
class Asked:
    job: Job
    intervals: bool = False

    def __str__(self) -> str:
        return f"{self.job}{', with intervals' if self.intervals else ''}"


CASES = [
    Asked(Job(16, 100, FOUR, "≤ 3", n=500)),
    Asked(Job(16, 40, FOUR, "≤ 1.5", n=500), intervals=True),
    Asked(Job(64, 60, TEN, "≤ 2")),
    Asked(Job(256, 8, FOUR, "≤ 1.5")),
    Asked(Job(256, 8, FOUR, "≤ 1.5"), intervals=True),
]


@pytest.mark.parametrize("asked", CASES, ids=str)
def test_tasks_against_bare_calls(table, repeats, tmp_path, asked):
    """Tasks that finalise all pairs of some pooled layers, both directions, to bare LAPACK calls, one thread"""
    job = asked.job
    batch, rests = job.batch(), job.without_a_group() if asked.intervals else []
    splits = {"test": job.rows(2)} if batch.train is None else {"train": job.rows(1), "test": job.rows(2)}
    named = {
        split: {f"layer{number}": rows for number, rows in enumerate(layers.astype(np.float32))}
        for split, layers in splits.items()
    }
    store = written(tmp_path / "store.zarr", named, row_groups=20)
    pairs, indices = {"pooled": all_pairs(store.layers)}, {"pooled": job.indices}
    comparison = Comparison(store.layers, store.splits, pairs, indices, intervals=asked.intervals)
    work = formed(comparison, store.resources(tmp_path / "work"))
    plan = work.plan

    def plain():
        fitted = None if batch.train is None else bare_axes(batch.train)
        for rest in (batch, *rests):
            bare(batch.rescored(replace(rest)), job.indices, fitted)

    with threadpool_limits(limits=1):
        # Processor seconds, because nothing is waited for and other work may run beside it.
        seconds = {
            name: min(_processor_seconds(act) for _ in range(repeats))
            for name, act in (("ours", lambda: finished(work)), ("bare", plain))
        }
    table.add(
        what=asked,
        tasks=len(plan.passes[0].chunks),
        µs_a_directed_pair=f"{1e6 * seconds['ours'] / plan.cost.pairs:.0f}",
        ratio=f"{seconds['ours'] / seconds['bare']:.2f}",
        target=job.target,
    )


def _processor_seconds(act) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun
