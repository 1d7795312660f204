"""Show that the deployment works, without containers: ``python -m flows.loopback``.

A Prefect server, two work pools with a worker each, the deployments of ``prefect.yaml``, and one run that the
server's own scheduler created and a worker finished. Everything lives in a temporary directory and on
loopback, and has ended when the command returns.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.client.schemas.sorting import FlowRunSort

from flows.installation import PrefectInstallation
from flows.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import FlowRun

#: Work pool -> flow runs at a time. One for a GPU: a second run would share its memory.
POOLS = {"cpu-pool": 2, "gpu-pool": 1}

#: The deployment that runs on a schedule.
SCHEDULED = "sweep/nightly"

_PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class ScheduledRun:
    """What the check saw of the run that the scheduler created.

    Attributes
    ----------
    name, state, auto_scheduled
        Of the run: its name, its final state (``COMPLETED``), and whether the scheduler created it.
    late_s
        Seconds from the time it was due to the time it started.
    states
        The states it went through.
    stitch_states
        The final states of the runs that it sent to the GPU pool.
    """

    name: str
    state: str
    auto_scheduled: bool
    late_s: float
    states: tuple[str, ...]
    stitch_states: tuple[str, ...]


@dataclass(frozen=True)
class LoopbackCheck:
    """What the scheduled run is to do, and how long it may take.

    Attributes
    ----------
    sweep, out, steps
        Parameters of the `flows.sweep.sweep` flow; `sweep` and `out` absolute, where they are paths.
    project
        Directory of ``prefect.yaml``.
    timeout_s
        Seconds from deployment to the end of the run.
    say
        Called with one line for each thing that happens.
    """

    sweep: str
    out: Path
    steps: tuple[str, ...] | None = None
    project: Path = _PROJECT
    timeout_s: float = 900.0
    say: Callable[[str], None] = lambda _line: None

    def run(self) -> ScheduledRun:
        """Start everything, wait for one scheduled run to end, stop everything.

        Raises
        ------
        flows.processes.ProcessError
            Something did not start or ended early, the run failed or did not come in time, or a process
            survived the end. The message holds the end of the log concerned.
        """
        with tempfile.TemporaryDirectory(prefix="stitchpipe-loopback-") as directory:
            installation = PrefectInstallation(Path(directory), self.say)
            with installation:
                run = self._watch(installation)
            if installation.survivors:
                raise ProcessError(
                    where="the end of the check",
                    expected="that every process has ended",
                    found=f"{len(installation.survivors)} that had to be killed: {installation.survivors}",
                    remedy="A worker does not pass its SIGTERM on; look for flow runs that ignore it.",
                )
        return run

    def _watch(self, installation: PrefectInstallation) -> ScheduledRun:
        installation.start_server()
        for pool, limit in POOLS.items():
            installation.create_pool(pool, limit=limit)
        installation.prefect("--no-prompt", "deploy", "--all", cwd=self.project)
        self.say(f"deployed {self.project / 'prefect.yaml'}")
        with installation.client() as client:
            deployment = self._make_due(client)
            for pool in POOLS:
                installation.start_worker(pool)
            run = self._await_end(client, deployment, installation)
            if run.state is None or not run.state.is_completed():
                raise ProcessError(
                    where=f"the scheduled run {run.name!r}",
                    expected="COMPLETED",
                    found=f"{run.state_name}: {run.state.message if run.state else ''}",
                    remedy=f"The workers say:\n{installation.worker_logs()}",
                )
            return _observed(client, run)

    def _make_due(self, client: SyncPrefectClient) -> UUID:
        """Replace the deployment's schedule by one that is due every minute; return the deployment's id."""
        deployment = client.read_deployment_by_name(SCHEDULED)
        for schedule in deployment.schedules:
            self.say(f"{SCHEDULED}: {schedule.schedule.model_dump_json()} becomes every minute")
        _unschedule(client, deployment.id)
        steps = None if self.steps is None else list(self.steps)
        parameters = {"sweep": self.sweep, "out": str(self.out), "steps": steps, "scheduler": None}
        every_minute = CronSchedule(cron="* * * * *", timezone="UTC")
        due = DeploymentScheduleCreate(schedule=every_minute, parameters=parameters, slug="due")
        client.create_deployment_schedules(deployment.id, [due])
        return deployment.id

    def _await_end(
        self, client: SyncPrefectClient, deployment: UUID, installation: PrefectInstallation
    ) -> FlowRun:
        """Return the first scheduled run once it has ended; from its start on nothing more is scheduled."""
        said: list[str] = []
        deadline = time.monotonic() + self.timeout_s
        while time.monotonic() < deadline:
            installation.must_run()
            run = _first_scheduled(client, deployment)
            if run is not None and run.state is not None:
                if run.state.name not in said:
                    said.append(str(run.state.name))
                    self.say(f"scheduled run {run.name}: {run.state.name}, due {run.expected_start_time}")
                if run.state.is_running():
                    _unschedule(client, deployment)
                if run.state.is_final():
                    return run
            time.sleep(1.0)
        raise ProcessError(
            where=SCHEDULED,
            expected=f"a scheduled run that ends within {self.timeout_s:.0f} s",
            found=" -> ".join(said) or "that none was ever created",
            remedy=f"Compare the pins in pyproject.toml. The workers say:\n{installation.worker_logs()}",
        )


def _first_scheduled(client: SyncPrefectClient, deployment: UUID) -> FlowRun | None:
    only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    order = FlowRunSort.EXPECTED_START_TIME_ASC
    runs = client.read_flow_runs(deployment_filter=only, sort=order, limit=20)
    return next((run for run in runs if run.auto_scheduled), None)


def _unschedule(client: SyncPrefectClient, deployment: UUID) -> None:
    for schedule in client.read_deployment_schedules(deployment):
        client.delete_deployment_schedule(deployment, schedule.id)


def _observed(client: SyncPrefectClient, run: FlowRun) -> ScheduledRun:
    """Return what the API says about the run and about those it sent to the GPU pool."""
    gpu = WorkPoolFilter(name=WorkPoolFilterName(any_=["gpu-pool"]))
    due, start = run.expected_start_time, run.start_time
    return ScheduledRun(
        name=run.name,
        state=run.state_type.value if run.state_type else "",
        auto_scheduled=bool(run.auto_scheduled),
        late_s=(start - due).total_seconds() if due and start else float("nan"),
        states=tuple(str(state.name) for state in client.read_flow_run_states(run.id)),
        stitch_states=tuple(
            stitch.state_type.value
            for stitch in client.read_flow_runs(work_pool_filter=gpu)
            if stitch.state_type
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the check from the command line; return 0 if a scheduled run completed."""
    parser = argparse.ArgumentParser(prog="python -m flows.loopback", description=__doc__)
    parser.add_argument("--sweep", default="quickstart", help="a sweep file, or the name of a shipped one")
    parser.add_argument("--out", type=Path, default=Path("runs/loopback"), help="the sweep's directory")
    parser.add_argument("--steps", help="comma-separated; default: all")
    parser.add_argument("--timeout", type=float, default=900.0, metavar="SECONDS")
    given = parser.parse_args(arguments)
    path = Path(given.sweep)
    check = LoopbackCheck(
        sweep=str(path.resolve()) if path.is_file() else given.sweep,
        out=given.out.resolve(),
        steps=tuple(given.steps.split(",")) if given.steps else None,
        timeout_s=given.timeout,
        say=_print,
    )
    signal.signal(signal.SIGTERM, _exit)
    try:
        run = check.run()
    except ProcessError as error:
        _print(str(error))
        return 1
    _print(f"{run.name}: {' -> '.join(run.states)}, started {abs(run.late_s):.1f} s from when it was due")
    _print(f"runs in gpu-pool: {', '.join(run.stitch_states) or 'none'}")
    _print(f"in {check.out}: {', '.join(sorted(path.name for path in check.out.iterdir()))}")
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


def _exit(signum: int, _frame: FrameType | None) -> NoReturn:
    """Leave through the blocks that stop the processes."""
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    raise SystemExit(main())
