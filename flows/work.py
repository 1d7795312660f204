"""How a unit of work is carried out: the one place of the flows that calls the steps of the pipeline."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from flows.pool import WorkerPool
from flows.progress import silent
from stitchpipe import steps
from stitchpipe.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.progress import Progress
    from flows.unit import Record, Unit

#: How a unit tells how far it is: called with what is done and what there is to do.
Report: TypeAlias = "Callable[[int, int], None]"


def perform(unit: Unit, report: Report) -> Record:  # noqa: PLR0911  (one for each step)
    """Do one unit of work in this process and return its record."""
    run = _kept_open(unit.sweep, unit.out)
    match unit.step, unit.subject:
        case "inspect", (model,):
            return steps.inspect(run, model, report=report)
        case "train", (model,):
            return steps.train(run, model, report=report)
        case "dump", (model, split):
            part = steps.parse_part(unit.option or "1/1")
            return steps.dump(run, model, split, part=part, report=report)
        case "compare", ():
            with steps.cluster_of(run, unit.option) as cluster:
                return steps.compare(run, cluster=cluster, report=report)
        case "fit maps", ():
            with steps.cluster_of(run, unit.option) as cluster:
                return steps.fit_maps(run, cluster=cluster, report=report)
        case "stitch", (model, layer):
            return steps.stitch(run, model, layer, report=report)
        case "report", ():
            return steps.report(run)
        case _:
            raise ValueError(f"no unit of work: {unit}")


#: In a worker process, which lives no longer than the run: it is opened once, whatever is done with it.
_kept_open = lru_cache(maxsize=1)(Run.open)


def processes_of(run: Run) -> int:
    """Return how many worker processes a run may use: what its sweep says, or as many as fit the machine.

    As many as there are cores for the torch threads of each, as long as there is memory for each. On a GPU one,
    because two processes would share its memory without knowing of each other.
    """
    declared = run.sweep.run
    if declared.processes:
        return declared.processes
    if run.device.type == "cuda":
        return 1
    by_cores, by_memory = CPU_COUNT // declared.torch_threads, MEMORY_LIMIT // declared.memory_limit_bytes
    return max(1, min(by_cores, by_memory))


def environment_of(run: Run) -> dict[str, str]:
    """Return what the environment of a run's worker processes adds: the number of threads of each.

    Linear algebra gets as many threads as torch, whatever the machine has and however many processes there are: the
    last digits of sums depend on it.
    """
    threads = str(run.sweep.run.torch_threads)
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)


def pool_of(sweep: str, out: str, *, progress: Progress = silent) -> WorkerPool:
    """Return a pool of worker processes for the units of a run, as its sweep wants it."""
    run = Run.open(sweep, out)
    return WorkerPool(processes_of(run), environment=environment_of(run), progress=progress)
