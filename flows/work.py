"""How units of work are planned and carried out: the one place of the flows that calls the steps of the pipeline.

Functions of names, so that worker processes and tests can have another module in its place: see
`stitchpipe.steps.claimed.Work` and `flows.known.Known`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from flows.pool import WorkerPool
from stitchpipe import steps
from stitchpipe.run import Run, RunPlace
from stitchpipe.run.declarations import opened_sweep
from stitchpipe.steps.work_units import of_the_sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.progress import Progress
    from flows.unit import Ended, Record, Unit
    from stitchpipe.steps import Units
    from stitchpipe.steps.claimed import Report


def perform(unit: Unit, report: Report) -> Record:  # noqa: PLR0911  (one for each step)
    """Do one unit of work in this process and return its record."""
    run = opened(unit.sweep, unit.out, unit.without)
    match unit.step, unit.subject:
        case "inspect", (model,):
            return steps.inspect(run, model, report=report)
        case "train", (model,):
            return steps.train(run, model, report=report)
        case "dump", (model, split):
            return steps.dump(run, model, split, part=steps.parse_part(unit.part), report=report)
        case "compare", ():
            return steps.on_cluster(
                run, unit.option, lambda cluster: steps.compare(run, cluster=cluster, report=report)
            )
        case "fit maps", ():
            return steps.on_cluster(
                run, unit.option, lambda cluster: steps.fit_maps(run, cluster=cluster, report=report)
            )
        case "stitch", (model, layer):
            return steps.stitch(run, model, layer, report=report)
        case "report", ():
            return steps.report(run)
        case _:
            raise ValueError(f"no unit of work: {unit}")


def kept(unit: Unit) -> Record | None:
    """Return the record of a unit that is known to be done, or None: its step finds out for certain."""
    run = opened(unit.sweep, unit.out, unit.without)
    match unit.step, unit.subject:
        case "inspect", (model,):
            return steps.inspected(run, model)
        case "train", (model,):
            return steps.trained(run, model)
        case "dump", (model, split):
            return steps.dumped(run, model, split)
        case _:
            return None


def done(units: Sequence[Unit]) -> dict[Unit, Record]:
    """Return the records of those units that are known to be done; stitches of one run are looked up at once."""
    found = {unit: record for unit in units if (record := kept(unit)) is not None}
    stitches = [unit for unit in units if unit.step == "stitch"]
    if stitches:
        first = stitches[0]
        there = steps.stitched(opened(first.sweep, first.out, first.without))
        found |= {unit: {"target": "/".join(unit.subject)} for unit in stitches if unit.subject in there}
    return found


def costs(sweep: str, out: str, without: tuple[str, ...] = ()) -> dict[tuple[str, ...], float]:
    """Return what dumps and stitches cost about, by subject; see `stitchpipe.steps.unit_costs`."""
    return steps.unit_costs(opened(sweep, out, without))


def key(unit: Unit) -> str:
    """Return a digest of what a unit is asked to do."""
    return steps.unit_key(opened(unit.sweep, unit.out, unit.without), unit.step, unit.subject)


@lru_cache(maxsize=4)
def opened(sweep: str, out: str, without: tuple[str, ...] = ()) -> Run:
    """Return a run, opened once in this process whatever is done with it, without some of its models."""
    if without:
        return opened(sweep, out).without(without)
    place = RunPlace.at(out)
    return Run.open(opened_sweep(sweep, place), place)


def networks(sweep: str, out: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the names of a run's networks."""
    return tuple(model.name for model in opened(sweep, out, without).sweep.networks)


def units(sweep: str, out: str, without: tuple[str, ...] = ()) -> Units:
    """Return what a run consists of, once its networks are on record."""
    return steps.units(opened(sweep, out, without))


def check_declaration(sweep: str, out: str, wanted: Sequence[str]) -> None:
    """Refuse a sweep that is wrong whatever its networks are; what is known of its units goes on record."""
    steps.check_declaration(opened(sweep, out), wanted)
    steps.begin_agenda(opened(sweep, out))


def check(sweep: str, out: str, without: tuple[str, ...], wanted: Sequence[str]) -> None:
    """Refuse a sweep that is wrong, given the layers of its networks; which units it has goes on record."""
    steps.check(opened(sweep, out, without), wanted)
    steps.keep_agenda(opened(sweep, out, without))


def is_mistake(ended: Ended) -> bool:
    """Return whether an inspection failed because the sweep file is wrong, see `of_the_sweep`."""
    unit, reason = ended.unit, ended.reason
    return reason is not None and of_the_sweep(opened(unit.sweep, unit.out).sweep, unit.subject[0], reason)


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


def pool_of(sweep: str, out: str, *, progress: Progress | None = None) -> WorkerPool:
    """Return a pool of worker processes for the units of a run, as its sweep wants it."""
    run = opened(sweep, out)
    return WorkerPool(
        processes_of(run),
        environment=environment_of(run),
        progress=progress,
        timeout_s=run.sweep.run.unit_timeout_s,
    )
