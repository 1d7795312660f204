"""From moments to numbers: stacked pairs against nothing but the LAPACK calls and products that they need."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.batches import evaluate_both
from tests.benchmarks.bare_pairs import Job, bare, bare_axes, fresh
from tests.benchmarks.tables import best_seconds

pytestmark = pytest.mark.benchmark

FOUR = ("cka", "procrustes", "cca", "svcca")
TEN = (*FOUR, "cka_biased", "nbs", "pwcca", "dm_r2", "gulp(0.1)", "ridge_cca(0.1)")
JOBS = [
    Job(16, 100, FOUR, "≤ 3"),
    Job(64, 24, TEN, "≤ 2"),
    Job(256, 6, TEN, "≤ 1.5", n=2000),
]
WITH_INTERVALS = [Job(16, 40, FOUR, "≤ 1.5"), Job(64, 8, TEN, "≤ 1.5")]


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_pairs_against_bare_calls(table, repeats, job):
    """Every index of all pairs of some layers, both directions, to bare LAPACK calls and products, one thread"""
    batch, wanted = job.batch(), job.wanted
    with threadpool_limits(limits=1):
        seconds = best_seconds(
            {
                "ours": lambda: evaluate_both(fresh(batch), wanted),
                "bare": lambda: bare(batch, job.indices),
            },
            repeats=repeats,
        )
    table.add(
        what=job,
        µs_a_pair_both_directions=f"{1e6 * seconds['ours'] / len(batch):.0f}",
        ratio=f"{seconds['ours'] / seconds['bare']:.2f}",
        target=job.target,
    )


@pytest.mark.parametrize("job", WITH_INTERVALS, ids=str)
def test_intervals_against_bare_calls(table, repeats, job):
    """The same with 20 leave-outs, to the bare calls of 21 batches, one thread"""
    batch, wanted, rests = job.batch(), job.wanted, job.without_a_group()

    def ours():
        whole = fresh(batch)
        evaluate_both(whole, wanted)
        for rest in rests:
            evaluate_both(whole.rescored(fresh(rest)), wanted)

    def plain():
        fitted = None if batch.train is None else bare_axes(batch.train)
        for rest in (batch, *rests):
            bare(batch.rescored(rest), job.indices, fitted)

    with threadpool_limits(limits=1):
        seconds = best_seconds({"ours": ours, "bare": plain}, repeats=repeats)
    table.add(what=job, ratio=f"{seconds['ours'] / seconds['bare']:.2f}", target=job.target)
