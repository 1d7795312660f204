"""The sweep as Prefect flows.

`sweep` is the whole pipeline. `dump` and `stitch` are the parts that want a GPU, as flows of their own: any number of
them may work on one run at a time, wherever they are, and each takes the units that nobody else has.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger

from flows.artifact import Shown
from flows.asked import asked_of
from flows.course import Course, active_course
from flows.fan_out import share_out
from flows.leaving import ends_soon_after
from flows.run_logs import logs_of_this_run
from flows.settling import is_everything_there
from flows.tasks import TASKS
from stitchpipe.config import Sweep  # noqa: TC001  (Prefect makes a form of it)
from stitchpipe.run import RunPlace
from stitchpipe.run.declarations import opened_sweep
from stitchpipe.run.settled import Settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flows.asked import Asked
    from flows.unit import Record


@flow(name="dump", persist_result=False, validate_parameters=False)
def dump(sweep: str, out: str, share: str = "1/1") -> list[dict[str, object]]:
    """Inspect, train and dump what nobody else has of a run: first its own share of it, then whatever is left.

    Parameters
    ----------
    sweep
        Path, name or URL of a sweep, or ``run:NAME`` for one that the run keeps.
    out
        Folder or URL of the run.
    share
        ``K/N``: which of N shares is its own.
    """
    with ends_soon_after():
        return _taken(asked_of(sweep, out, ["inspect", "train", "dump"], share=share))


@flow(name="stitch", persist_result=False, validate_parameters=False)
def stitch(sweep: str, out: str, share: str = "1/1") -> list[dict[str, object]]:
    """Make the stitches into target layers that nobody else works on; the maps of the run must have been fitted.

    Parameters
    ----------
    sweep, out, share
        As in `dump`.
    """
    with ends_soon_after():
        return _taken(asked_of(sweep, out, ["stitch"], share=share), only=("begin", "stitch"))


@flow(name="sweep", persist_result=False)
def sweep(  # noqa: PLR0913, PLR0917  (parameters of a deployment)
    sweep: Sweep | str,
    out: str,
    scheduler: str | None = None,
    steps: list[str] | None = None,
    dump_deployment: str | None = None,
    stitch_deployment: str | None = None,
    part: str = "1/1",
    retry_failed: bool = False,
    runs_at_once: int = 4,
) -> list[dict[str, object]]:
    """Inspect, train, dump, compare, stitch and report; each unit is skipped where it is done already.

    Parameters
    ----------
    sweep
        The sweep itself, or where it is: the path of a file, the name of a shipped one, a URL.
    out
        Folder or URL of the run. Workers on other machines need it, and what opens it.
    scheduler
        Address of a Dask scheduler (``tcp://…``); default: a local cluster for as long as a step needs it.
    steps
        Which of ``inspect, train, dump, compare, stitch, report`` to run; default: all. The order is always that one.
    dump_deployment
        Name of the deployment that dumps (``dump/gpu``), for GPUs in another work pool; default: here.
    stitch_deployment
        Name of the deployment that stitches (``stitch/gpu``); default: here.
    part
        ``K/N``: dump only the K-th of N parts of every model and split; N runs on N machines share a dump.
    retry_failed
        Whether units that failed by themselves are tried again.
    runs_at_once
        How many runs of a deployment share its step, where its work pool does not limit them.

    Returns
    -------
    list of dict
        One small record per unit of work, in order.
    """
    # prefect.yaml renders an unset environment variable as an empty string.
    asked = asked_of(sweep, out, steps, scheduler=scheduler or None, part=part, retry_failed=retry_failed)
    deployments = {"activations": dump_deployment, "stitch": stitch_deployment}
    sent = {step: name for step, name in deployments.items() if name}
    if active_course() is not None:  # the command line has looked, and puts the end on record itself
        return _taken(asked, deployments=sent, runs_at_once=runs_at_once)
    with ends_soon_after():
        place = RunPlace.at(asked.out)
        settled = Settled(opened_sweep(asked.sweep, place), place)
        if is_everything_there(settled, asked.steps, part=asked.part, retry_failed=asked.retry_failed):
            get_run_logger().info("everything is there already, as the last run left it")
            return []
        return _taken(asked, deployments=sent, runs_at_once=runs_at_once, settled=settled)


def _taken(
    asked: Asked,
    *,
    only: Sequence[str] | None = None,
    deployments: Mapping[str, str] | None = None,
    runs_at_once: int = 1,
    settled: Settled | None = None,
) -> list[Record]:
    """Take a course, a Prefect task for each of its steps; return the records of its units.

    A step of a deployment is first shared out among runs of that, and what they leave is then taken here. The end goes
    on record in `settled`.
    """
    stamp = None if settled is None else settled.stamp()
    with logs_of_this_run(), _course(asked) as course:
        shown = Shown(course)
        for name in asked.course:
            if only is None or name in only:
                shown.progress(name)
                if deployments and name in deployments:
                    share_out(course, name, deployments[name], runs_at_once=runs_at_once)
                TASKS[name](course, name)
        shown.end()
        if settled is not None:
            course.settle(settled, stamp)
        course.demand_success()
        return [ended.record for ended in course.ended]


@contextmanager
def _course(asked: Asked) -> Iterator[Course]:
    """Yield the course that the command line has begun, or a new one with worker processes of its own."""
    course = active_course()
    if course is not None:
        yield course
    else:
        # This imports torch, which takes seconds: a trigger that finds everything there does without.
        from flows.work import pool_of  # noqa: PLC0415

        with pool_of(asked.sweep, asked.out) as pool:
            yield Course(asked, pool)
