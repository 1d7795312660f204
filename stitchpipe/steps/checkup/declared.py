"""Looks at a sweep's file: that it can be read, and that what it asks for is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stitchpipe.config import load
from stitchpipe.sizes import size_of
from stitchpipe.steps.checkup.check import Look, ok, problem, warning
from stitchpipe.steps.checkup.machine import cores, gpus, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.config import Sweep
    from stitchpipe.steps.checkup.check import Check

_SUBJECT: Final = "sweep"


def looks_at_sweep(file: str) -> tuple[Look, ...]:
    """Return the look at a sweep's file, or at a shipped sweep."""
    return (Look(_SUBJECT, file, lambda: _sweep(file), within_s=30.0),)


def _sweep(file: str) -> Iterator[Check]:
    sweep = load(file)
    n_models, n_tables = len(sweep.models), len(sweep.compare) + len(sweep.stitch)
    yield ok(
        _SUBJECT, file, f"'{sweep.name}': {n_models} models, {n_tables} tables of comparisons and stitches"
    )
    yield _device(sweep)
    yield _share(sweep)


def _device(sweep: Sweep) -> Check:
    device, there = sweep.run.device, gpus()
    if device.startswith("cuda") and not there:
        remedy = "Install the driver, run on a machine with a GPU, or set run.device = 'cpu'."
        return problem(_SUBJECT, "device", f"run.device = '{device}', and no driver shows a GPU here", remedy)
    return ok(_SUBJECT, "device", f"run.device = '{device}', {len(there)} GPUs here")


def _share(sweep: Sweep) -> Check:
    """Hold what workers may take together against what this machine has."""
    run, n_cores, memory = sweep.run, cores(), memory_bytes()
    processes = run.processes or 1
    found = (
        f"{processes} processes of {run.torch_threads} threads, {run.workers} Dask workers of "
        f"{size_of(run.memory_limit_bytes)}; this machine has {n_cores} cores and {size_of(memory)}"
    )
    if run.workers * run.memory_limit_bytes > memory:
        remedy = (
            "Set run.workers or run.memory_limit_bytes to less: workers would be killed when memory runs out."
        )
        return problem(_SUBJECT, "share of the machine", found, remedy)
    if max(processes * run.torch_threads, run.workers) > n_cores:
        remedy = (
            "Set run.processes, run.torch_threads or run.workers to less: they would wait for each other."
        )
        return warning(_SUBJECT, "share of the machine", found, remedy)
    return ok(_SUBJECT, "share of the machine", found)
