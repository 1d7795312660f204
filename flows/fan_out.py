"""A step of a run that several flow runs of a deployment share: sent, watched, and taken up where they all are gone.

What ended is read in the run's place, and not from the states of flow runs: a run that is lost with its machine stays
Running until somebody notices, while its units have long been taken up by the others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import httpx
from prefect.client.orchestration import get_client
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.logging import get_run_logger
from prefect.states import Cancelled

from flows.asked import FlowError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State

    from flows.course import Course

LOOK_S: Final = (1.0, 2.0, 5.0, 10.0)
"""After how long it is looked again, the last for ever."""

REST: Final = 20.0
"""How many times the processor time of a look the pause behind it is: to look at hundreds of units takes seconds."""

LONGEST_REST_S: Final = 60.0

AWAY_S: Final = 300.0
"""For how long a server that does not answer is waited for, behind the tries of Prefect's own client."""


def share_out(course: Course, step: str, deployment: str, *, runs_at_once: int) -> list[UUID]:
    """Have flow runs of a deployment carry out a step, and return when nothing of it is left, or they all are gone.

    There are as many as its work pool allows at a time, or else `runs_at_once`, and no more than units to do. What is
    left then is for the caller: to take the step finds what ended, and does the rest.

    Raises
    ------
    FlowError
        There is no such deployment.
    """
    missing = course.missing(step)
    if not missing:
        return []
    logger, begun_s = get_run_logger(), time.time()
    with get_client(sync_client=True) as client:
        count = min(len(missing), _allowed(client, deployment) or runs_at_once)
        # Parts of large dumps follow from the number of shares, which these runs and this one must agree on.
        asked = course.asked = replace(course.asked, share=(0, count))
        missing = course.missing(step)
        runs = [
            _sent(deployment, asked.sweep, asked.out, f"{number}/{count}") for number in range(1, count + 1)
        ]
        logger.info("%s: %d units for %d runs of %s", step, len(missing), count, deployment)
        looks, watched = 0, _Watched(client, runs)
        spent_s = time.process_time()
        while left := course.missing(step, since_s=begun_s, among=missing):
            if len(left) < len(missing):
                logger.info("%s: %d units are left", step, len(left))
                looks = 0
            missing = left
            if not watched.are_under_way():
                logger.warning("%s: %d units are left, and no run is that would do them", step, len(left))
                break
            time.sleep(_pause_s(looks, time.process_time() - spent_s))
            looks, spent_s = looks + 1, time.process_time()
        _call_off(client, runs)
    course.tried_since_s[step] = begun_s
    return runs


def _pause_s(looks: int, spent_s: float) -> float:
    """Return how long to wait behind a look: longer where many found nothing new, and where it cost more seconds."""
    return max(LOOK_S[min(looks, len(LOOK_S) - 1)], min(REST * spent_s, LONGEST_REST_S))


def _allowed(client: SyncPrefectClient, deployment: str) -> int | None:
    """Return how many flow runs the work pool of a deployment allows at a time; None where it does not say."""
    try:
        found = client.read_deployment_by_name(deployment)
        pool = None if found.work_pool_name is None else client.read_work_pool(found.work_pool_name)
    except (ObjectNotFound, ValueError):
        raise FlowError(
            where=f"deployment '{deployment}'",
            expected="one that is deployed, as FLOW/NAME, with its work pool",
            found="none",
            remedy="Deploy it (`prefect deploy --all`), correct the name, or leave the parameter out.",
        ) from None
    return None if pool is None else pool.concurrency_limit


def _sent(deployment: str, sweep: str, out: str, share: str) -> UUID:
    parameters: dict[str, Any] = {"sweep": sweep, "out": out, "share": share}
    run: Any = run_deployment(deployment, parameters=parameters, timeout=0)
    found: UUID = run.id
    return found


@dataclass
class _Watched:
    """Flow runs that were sent, and when their server answered last."""

    client: SyncPrefectClient
    runs: Sequence[UUID]
    answered_s: float = field(default_factory=time.monotonic)

    def are_under_way(self) -> bool:
        """Whether one of them may still do something, as all may while the server does not answer.

        Raises
        ------
        httpx.HTTPError
            It has not answered for `AWAY_S` seconds.
        """
        try:
            states = [self._state(run) for run in self.runs]
        except httpx.HTTPError:
            if time.monotonic() - self.answered_s > AWAY_S:
                raise
            return True
        self.answered_s = time.monotonic()
        return any(state is None or not state.is_final() for state in states)

    def _state(self, run: UUID) -> State[Any] | None:
        try:
            return self.client.read_flow_run(run).state
        except ObjectNotFound:  # somebody deleted it
            return Cancelled()


def _call_off(client: SyncPrefectClient, runs: Sequence[UUID]) -> None:
    """Cancel the flow runs that have not begun: they would find nothing to do."""
    for run in runs:
        try:
            state = client.read_flow_run(run).state
            if state is not None and (state.is_scheduled() or state.is_pending()):
                client.set_flow_run_state(run, Cancelled(message="Nothing is left to do."))
        except (PrefectException, httpx.HTTPError):  # it began, is gone, or will find nothing to do
            continue
