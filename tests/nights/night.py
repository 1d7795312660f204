"""One night: triggers and faults drawn from a seed, then one undisturbed trigger, then the judgement."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace

import pytest

from flows.asked import Asked
from flows.course import Course
from flows.pool import WorkerPool
from flows.settling import is_everything_there
from stitchpipe.errors import ExplainedError
from stitchpipe.run.place import STORE, RunPlace
from stitchpipe.run.settled import Settled
from tests.nights import judgement, standins, units
from tests.nights.bucket import Bucket
from tests.nights.disk import Disk
from tests.nights.weather import Weather
from tests.nights.world import World

QUIET = "quiet"
STEPS = ("inspect", "train", "dump", "compare", "stitch", "report")


@dataclass
class Night:
    """How a night ended.

    Attributes
    ----------
    problems
        What should not be; empty after a good night.
    log
        Its operations: virtual seconds, process, operation, key.
    operations_again
        Of a quiet night: what a trigger behind its last one asks of the place.
    """

    seed: object
    problems: list[str] = field(default_factory=list)
    log: list[tuple[float, str, str, str]] = field(default_factory=list)
    state: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    redone: int = 0
    overlaps: int = 0
    kills: int = 0
    cuts: int = 0
    operations: int = 0
    operations_again: list[str] = field(default_factory=list)
    virtual_s: float = 0.0

    def told(self):
        return [f"{at_s:10.3f}  {who:8} {what:22} {key}" for at_s, who, what, key in self.log]


def hush():
    """Keep quiet in this process about units that fail: they are what a night is about."""
    logging.disable(logging.CRITICAL)


def night(seed):
    """Let a night happen, in a bucket (``7``) or on a disk (``"d7"``); return how it ended."""
    kind = Disk if str(seed).startswith("d") else Bucket
    drawn = Weather.drawn_for_disk(str(seed)[1:]) if kind is Disk else Weather.drawn(int(seed))
    return _judged(_happen(seed, kind, drawn), quiet_night(kind))


@cache
def quiet_night(kind=Bucket):
    """Return a night with one trigger and no fault: what all others must end as."""
    weather = Weather(QUIET)
    weather.quiet = True
    calm = _happen(QUIET, kind, weather)
    if calm.problems or calm.computed != len(units.MODELS) * len(units.SPLITS) * units.ROW_GROUPS:
        raise AssertionError(calm.problems)
    return calm


def _happen(seed, kind, weather):
    world = World(seed)
    medium = kind(world, weather)
    found = Night(seed, log=world.log)
    with _installed(world, medium, weather):
        for number, (at_s, host, processes) in enumerate(weather.triggers):
            share = (number % 2, 2) if len(weather.triggers) > 1 else (0, 1)
            asked = Asked("night", medium.url, STEPS, share=share)
            _trigger(world, asked, f"run {number}", (host, weather.skews[host]), processes, after_s=at_s)
        world.run()
        stuck, unfinished = list(world.errors), judgement.unfinished(medium)
        weather.quiet = True
        outcome = _trigger(world, Asked("night", medium.url, STEPS), "last", (2, 0.0), 2)
        world.run()
        standins.as_a_new_process()
        found.problems += [f"the night does not end: {error!r}" for error in stuck]
        found.problems += [f"the last trigger failed: {error!r}" for error in world.errors[len(stuck) :]]
        if outcome.error is not None:
            found.problems.append(f"the last trigger failed: {outcome.error}")
        if seed == QUIET:
            found.operations_again = _again(world, medium)
        found.operations, found.virtual_s = len(world.log), world.now_s
        found.state, problems = judgement.judged(world, medium, unfinished)
        found.problems += medium.broken + problems
    found.computed, found.redone, found.overlaps = len(world.computed), world.redone, world.overlaps
    found.kills = sum("killed" in what for _, _, what, _ in world.log)
    found.cuts = sum("power cut" in what for _, _, what, _ in world.log)
    if world.redone:
        found.problems.append(f"{world.redone} row groups were computed that had been written")
    if weather.spares_claims and world.overlaps:
        found.problems.append(f"{world.overlaps} row groups were computed by two living processes at once")
    return found


def _again(world, medium):
    """Trigger a finished run once more; return the kinds of what it asks of its place."""
    before = len(world.log)
    outcome = _trigger(world, Asked("night", medium.url, STEPS), "again", (2, 0.0), 2)
    world.run()
    if world.errors or outcome.error is not None:
        raise AssertionError([*world.errors, outcome.error])
    return [what for _, _, what, _ in world.log[before:]]


@contextmanager
def _installed(world, medium, weather):
    world.is_marked = lambda dump, row_group: medium.has(f"{STORE}/{dump._markers.key(row_group)}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "WORLD", world)
        standins.install(patch, world, medium, units, weather.begun)
        try:
            yield
        finally:
            medium.end()


def _trigger(world, asked, name, host, processes, *, after_s=0.0):
    """Begin a run in a process of its own, after a while; as `flows.runner.run` without Prefect."""
    outcome = SimpleNamespace(error=None)
    number, skew_s = host
    process = world.process(name, f"host {number}", skew_s=skew_s)

    def run():
        try:
            _run(asked, processes)
        except ExplainedError as error:
            world.note(f"ended: {type(error).__name__}", str(error))
            outcome.error = error

    world.start(process, run, is_main=True, after_s=after_s)
    return outcome


def _run(asked, processes):
    place = RunPlace.at(asked.out)
    settled = Settled(SimpleNamespace(store=SimpleNamespace(url=None)), place)
    if is_everything_there(settled, asked.steps):
        return
    stamp = settled.stamp()
    with WorkerPool(processes, work="tests.nights.units") as pool:
        course = Course(asked, pool)
        for name in asked.course:
            course.take(name)
        course.settle(settled, stamp)
        course.demand_success()


def _judged(found, quiet):
    if found.state:
        names = sorted(found.state.keys() | quiet.state.keys())
        found.problems += [
            f"{name} is {found.state.get(name)!r:.200}, in a quiet run {quiet.state.get(name)!r:.200}"
            for name in names
            if found.state.get(name) != quiet.state.get(name)
        ]
    return found
