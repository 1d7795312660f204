"""How a unit of work is carried out: the one place of the flows that calls the steps of the pipeline."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from flows.pool import WorkerPool
from flows.progress import silent
from stitchpipe import sweep as pipeline
from stitchpipe.config import Sweep
from stitchpipe.sweep.networks import device_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.progress import Progress
    from flows.unit import Record, Unit

#: How a unit tells how far it is: called with what is done and what there is to do.
Report: TypeAlias = "Callable[[int, int], None]"

#: A run, opened: what every step of the pipeline takes first.
OpenedRun: TypeAlias = tuple[Sweep, pipeline.Folder]


def perform(unit: Unit, report: Report) -> Record:
    """Do one unit of work in this process and return its record."""
    run = _kept_open(unit.sweep, unit.out)
    match unit.step, unit.subject:
        case "train", (model,):
            return pipeline.train(*run, model, report=report)
        case "dump", (model, split):
            part = pipeline.parse_part(unit.option or "1/1")
            return pipeline.dump(*run, model, split, part=part, report=report)
        case "compare", ():
            with pipeline.cluster_of(run[0], unit.option) as cluster:
                return pipeline.compare(*run, cluster=cluster, report=report)
        case "fit maps", ():
            with pipeline.cluster_of(run[0], unit.option) as cluster:
                return pipeline.fit_maps(*run, cluster=cluster, report=report)
        case "stitch", (model, layer):
            return pipeline.stitch(*run, model, layer, report=report)
        case "report", ():
            return pipeline.report(*run)
        case _:
            raise ValueError(f"no unit of work: {unit}")


def open_run(sweep: str, out: str) -> OpenedRun:
    """Open a run by the path or name of its sweep and its directory."""
    return pipeline.load(sweep), pipeline.Folder(Path(out))


#: In a worker process, which lives no longer than the run: the file is read once.
_kept_open = lru_cache(maxsize=1)(open_run)


def processes_of(run: OpenedRun) -> int:
    """Return how many worker processes a run may use: what its sweep says, or as many as fit the machine.

    As many as there are cores for the torch threads of each, as long as there is memory for each. On a GPU one,
    because two processes would share its memory without knowing of each other.
    """
    sweep, _ = run
    if sweep.run.processes:
        return sweep.run.processes
    if device_of(sweep).type == "cuda":
        return 1
    by_cores, by_memory = CPU_COUNT // sweep.run.torch_threads, MEMORY_LIMIT // sweep.run.memory_limit_bytes
    return max(1, min(by_cores, by_memory))


def environment_of(run: OpenedRun) -> dict[str, str]:
    """Return what the environment of a run's worker processes adds: the number of threads of each.

    Linear algebra gets as many threads as torch, whatever the machine has and however many processes there are: the
    last digits of sums depend on it.
    """
    threads = str(run[0].run.torch_threads)
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)


def pool_of(sweep: str, out: str, *, progress: Progress = silent) -> WorkerPool:
    """Return a pool of worker processes for the units of a run, as its sweep wants it."""
    run = open_run(sweep, out)
    return WorkerPool(processes_of(run), environment=environment_of(run), progress=progress)
