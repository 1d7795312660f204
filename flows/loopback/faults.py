"""Which process is killed in which phase of a run, and that it is really there to be killed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType

from flows.installation import descendants, kill_all, worker_name
from stitchpipe.run.claims import Claims

if TYPE_CHECKING:
    from typing import Self
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient

    from flows.installation import PrefectInstallation
    from stitchpipe.run import RunPlace

CPU_POOL, GPU_POOL = "cpu-pool", "gpu-pool"


def dask_worker(number: int) -> str:
    """Return what the `number`-th Dask worker is called."""
    return f"dask-worker {number}"


#: Victim -> what it is.
VICTIMS: Final = {
    "server": "the Prefect server",
    "s3": "the S3 server",
    "cpu-worker": "the worker of the CPU pool, not the run that it started",
    "gpu-worker": "the first worker of the GPU pool, not the run that it started",
    "flow": "the processes of the sweep's flow run",
    "gpu-flow": "the processes of one flow run in the GPU pool",
    "unit": "the worker process that carries out a unit of the phase",
    "cpu-machine": "the worker of the CPU pool with all that it started",
    "gpu-machine": "the first worker of the GPU pool with all that it started; it never comes back",
    "dask-scheduler": "the Dask scheduler",
    "dask-worker": "one Dask worker with its nanny",
}

#: Phases: the steps of the units that are under way. In `submit` the run has not begun.
PHASES: Final = ("submit", "inspect", "train", "dump", "compare", "fit maps", "stitch", "report")

#: Victims that are the process of a service, and what the service is called.
_SERVICES: Final = {
    "server": "server",
    "s3": "s3",
    "dask-scheduler": "dask-scheduler",
    "cpu-worker": worker_name(CPU_POOL),
    "gpu-worker": worker_name(GPU_POOL),
}

#: Victims that are a service with all that it has started, as when a machine is lost.
_MACHINES: Final = {
    "cpu-machine": worker_name(CPU_POOL),
    "gpu-machine": worker_name(GPU_POOL),
    "dask-worker": dask_worker(0),
}


@dataclass(frozen=True)
class Fault:
    """A process to kill, and when.

    Attributes
    ----------
    victim
        One of `VICTIMS`.
    during
        One of `PHASES`: it is killed when a unit of that step is under way, or the run is being submitted.
    after_s
        Seconds from then to the kill.
    """

    victim: str
    during: str = "compare"
    after_s: float = 1.0

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the fault that ``VICTIM/PHASE/SECONDS`` names; phase and seconds may be left out.

        Raises
        ------
        ValueError
            There is no such victim or phase, or the seconds are none.
        """
        victim, _, rest = text.partition("/")
        during, _, after = rest.partition("/")
        if victim not in VICTIMS or (during or "compare") not in PHASES:
            raise ValueError(text)
        seconds = float(after or 1.0)
        if not 0.0 <= seconds < math.inf:
            raise ValueError(text)
        return cls(victim, during or "compare", seconds)

    @property
    def gone(self) -> tuple[str, ...]:
        """The services that are not started again."""
        return (_MACHINES[self.victim],) if self.victim == "gpu-machine" else ()

    def is_due(self, client: SyncPrefectClient, run: UUID, place: RunPlace) -> bool:
        """Return whether the phase has come."""
        if self.during == "submit":
            state = client.read_flow_run(run).state
            return state is not None and state.type is StateType.PENDING
        return bool(under_way(place, self.during))

    def strike(
        self, installation: PrefectInstallation, client: SyncPrefectClient, run: UUID, place: RunPlace
    ) -> str:
        """Kill the victim; return what was killed, in words."""
        if (service := _SERVICES.get(self.victim)) is not None:
            installation.kill(service)
            return service
        if (machine := _MACHINES.get(self.victim)) is not None:
            below = descendants(installation.pid(machine))
            installation.kill(machine)
            return f"{machine} and {kill_all(below)} processes below it"
        on_gpu = _running(client, GPU_POOL)
        if self.victim == "flow":
            return f"{installation.kill_flow(run)} processes of the sweep's run"
        if self.victim == "gpu-flow":
            return f"{sum(map(installation.kill_flow, on_gpu[:1]))} processes of a run in {GPU_POOL}"
        units = under_way(place, "" if self.during == "submit" else self.during)
        name, pid = next(iter(units.items()), ("", 0))
        return f"{kill_all([pid] if pid else [])} process, which had {name!r}"


def _running(client: SyncPrefectClient, pool: str) -> list[UUID]:
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING]))
    in_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    return [
        run.id
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state), work_pool_filter=in_pool)
    ]


def under_way(place: RunPlace, step: str) -> dict[str, int]:
    """Return the units of a step that living workers have claimed, and the process of each."""
    with Claims(place.files) as claims:
        held = claims.held()
    return {unit: by.worker.pid for unit, by in held.items() if by.lives and unit.startswith(step)}
