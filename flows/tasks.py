"""The steps of a run as Prefect tasks: each carries out all units of its step, which worker processes do.

A task per step and not per unit: a zoo of hundreds of models costs Prefect no more than three of them. Single units are
seen in the logs, in the progress and in the table that a run leaves. Prefect caches and persists nothing here: the
run's place says what is done, and every step skips what it finds there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from prefect import Task
from prefect.cache_policies import NO_CACHE

from flows.asked import COURSE

if TYPE_CHECKING:
    from flows.course import Course


def carried_out(course: Course, step: str) -> dict[str, int]:
    """Carry out a step of a course; return how many of its units ended in which way."""
    return dict(Counter(ended.state for ended in course.take(step)))


#: One task for each step, so that Prefect tells them apart; stitches want a GPU where there is one.
TASKS: Final = {
    step: Task(
        carried_out,
        name=step,
        task_run_name="{step}",
        tags=["gpu"] if step == "stitch" else [],
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    for step in COURSE
}
