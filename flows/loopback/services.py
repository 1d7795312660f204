"""Everything of a deployment but its workers, on loopback."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from flows.loopback.faults import CPU_POOL, GPU_POOL, dask_worker
from flows.server import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from flows.installation import PrefectInstallation

_DASK = (sys.executable, "-m", "dask")


def start_dask(installation: PrefectInstallation, *, workers: int) -> str:
    """Start a Dask scheduler and workers of one thread; return the scheduler's address."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    here = ("--host", "127.0.0.1", "--no-dashboard")
    installation.serve("dask-scheduler", [*_DASK, "scheduler", "--port", str(port), *here])
    local = ("--nthreads", "1", "--local-directory", installation.environment["TMPDIR"])
    for number in range(workers):
        installation.serve(dask_worker(number), [*_DASK, "worker", address, *local, *here])
    return address


def deploy(installation: PrefectInstallation, project: Path, *, gpu_slots: int) -> None:
    """Make the pools, the deployments of a project's ``prefect.yaml``, and its automations."""
    installation.create_pool(CPU_POOL, limit=2)
    installation.create_pool(GPU_POOL, limit=gpu_slots)
    installation.prefect("--no-prompt", "deploy", "--all", cwd=project)
    installation.python("-m", "flows.automations", str(project / "docker" / "automations.yaml"))


def start_workers(installation: PrefectInstallation, *, gpu_workers: int) -> None:
    """Start a worker of the CPU pool, and some of the GPU pool with one flow run each."""
    installation.start_worker(CPU_POOL)
    for number in range(gpu_workers):
        installation.start_worker(GPU_POOL, number=number, limit=1)
