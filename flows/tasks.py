"""The sweep's units of work as Prefect tasks: unpack, call one function, return its small record.

Prefect caches and persists nothing here: the store says what is done, and every function skips what it finds
sealed there. Parameters and results are names and counts; arrays never pass through.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.progress import reporter
from stitchpipe import sweep as pipeline

if TYPE_CHECKING:
    from stitchpipe.config import Sweep

#: What a unit of work returns: a small JSON object.
Record: TypeAlias = dict[str, Any]


@task(task_run_name="train {model}", cache_policy=NO_CACHE, persist_result=False)
def train(sweep: str, out: str, model: str) -> Record:
    """Train one model, or find its weights."""
    report = reporter(f"train {model}")
    return pipeline.train(*_opened(sweep, out), model, report=report)


@task(task_run_name="dump {model} {split}", cache_policy=NO_CACHE, persist_result=False)
def dump(sweep: str, out: str, model: str, split: str, part: str) -> Record:
    """Write one model's representations of one split, or a part of them, to the store."""
    report = reporter(f"dump {model} {split}")
    return pipeline.dump(*_opened(sweep, out), model, split, part=pipeline.parse_part(part), report=report)


@task(task_run_name="compare", cache_policy=NO_CACHE, persist_result=False)
def compare(sweep: str, out: str, scheduler: str | None) -> Record:
    """Compute all pairs of layers under all views, on Dask."""
    report = reporter("compare")
    opened = _opened(sweep, out)
    with pipeline.cluster_of(opened[0], scheduler) as cluster:
        return pipeline.compare(*opened, cluster=cluster, report=report)


@task(task_run_name="fit maps", cache_policy=NO_CACHE, persist_result=False)
def fit_maps(sweep: str, out: str, scheduler: str | None) -> Record:
    """Fit the direct-matching maps that the stitches start from, on Dask."""
    report = reporter("fit maps")
    opened = _opened(sweep, out)
    with pipeline.cluster_of(opened[0], scheduler) as cluster:
        return pipeline.fit_maps(*opened, cluster=cluster, report=report)


@task(task_run_name="stitch {model} {layer}", tags=["gpu"], cache_policy=NO_CACHE, persist_result=False)
def stitch(sweep: str, out: str, model: str, layer: str) -> Record:
    """Make and score every stitch into one target layer; uses a GPU where there is one."""
    report = reporter(f"stitch {model} {layer}")
    return pipeline.stitch(*_opened(sweep, out), model, layer, report=report)


@task(task_run_name="report", cache_policy=NO_CACHE, persist_result=False)
def report(sweep: str, out: str) -> Record:
    """Write the page."""
    return pipeline.report(*_opened(sweep, out))


def _opened(sweep: str, out: str) -> tuple[Sweep, pipeline.Folder]:
    """Return the sweep and the folder that the strings name."""
    return pipeline.load(sweep), pipeline.Folder(Path(out))
