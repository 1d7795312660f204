"""Runs of the scheduled deployment: how they come about, and how they are watched to their end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort

from flows.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import FlowRun

    from flows.installation import PrefectInstallation

#: The deployment that runs on a schedule.
SCHEDULED = "sweep/nightly"


def make_due(client: SyncPrefectClient, parameters: Mapping[str, Any]) -> tuple[UUID, str]:
    """Replace the deployment's schedule by one that is due every minute; return its id and what its schedule was."""
    deployment = client.read_deployment_by_name(SCHEDULED)
    was = ", ".join(schedule.schedule.model_dump_json() for schedule in deployment.schedules)
    unschedule(client, deployment.id)
    every_minute = CronSchedule(cron="* * * * *", timezone="UTC")
    due = DeploymentScheduleCreate(schedule=every_minute, parameters=dict(parameters), slug="due")
    client.create_deployment_schedules(deployment.id, [due])
    return deployment.id, was


def unschedule(client: SyncPrefectClient, deployment: UUID) -> None:
    """Remove all schedules of a deployment, and with them the runs that have not begun."""
    for schedule in client.read_deployment_schedules(deployment):
        client.delete_deployment_schedule(deployment, schedule.id)


def first_scheduled(client: SyncPrefectClient, deployment: UUID) -> FlowRun | None:
    """Return the earliest run that the scheduler created, or None."""
    only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    order = FlowRunSort.EXPECTED_START_TIME_ASC
    runs = client.read_flow_runs(deployment_filter=only, sort=order, limit=20)
    return next((run for run in runs if run.auto_scheduled), None)


def ended_in(client: SyncPrefectClient, pool: str) -> tuple[str, ...]:
    """Return each flow run of a pool with its state: ``dump COMPLETED``."""
    runs = client.read_flow_runs(work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])))
    names = {run.flow_id: client.read_flow(run.flow_id).name for run in runs}
    return tuple(sorted(f"{names[run.flow_id]} {run.state_type.value}" for run in runs if run.state_type))


@dataclass(frozen=True)
class Watch:
    """Looks at a run until it has ended.

    Attributes
    ----------
    installation
        Where it runs.
    client
        Of that installation.
    timeout_s
        Seconds until it must have ended.
    look
        Called at each look with the run.
    restart
        Called where the server does not answer: it may have ended.
    say
        Called with one line for each state that the run comes to.
    every_s
        Seconds between two looks: each costs the server processor time.
    """

    installation: PrefectInstallation
    client: SyncPrefectClient
    timeout_s: float
    look: Callable[[FlowRun], None]
    restart: Callable[[], None]
    say: Callable[[str], None]
    every_s: float = 0.5

    def until_ended(self, find: Callable[[], FlowRun | None]) -> FlowRun:
        """Return the run that `find` finds, once it has ended; raise `ProcessError` if that takes too long."""
        said: list[str] = []
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            try:
                run = find()
                if run is not None and run.state is not None:
                    if run.state.name not in said:
                        said.append(str(run.state.name))
                        self.say(f"{run.name}: {run.state.name}")
                    if run.state.is_final():
                        return run
                    self.look(run)
            except httpx.HTTPError:
                self.restart()
            time.sleep(self.every_s)
        raise ProcessError(
            where=SCHEDULED,
            expected=f"a run that ends within {self.timeout_s:.0f} s",
            found=" -> ".join(said) or "that none was ever created",
            remedy=f"Compare the pins in pyproject.toml. The workers say:\n{self.installation.worker_logs()}",
        )
