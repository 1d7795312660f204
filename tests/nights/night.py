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
from storage import digest_of, open_store
from tests.nights import standins, units
from tests.nights.bucket import Bucket
from tests.nights.weather import Weather
from tests.nights.world import World

URL = "s3://night/run"
STEPS = ("inspect", "train", "dump", "compare", "stitch", "report")
PASSING = ("agendas/", "claims/", "inventory", "settled", "times", "units/", "compacted-results")
"""Records that say who worked, when, or in which order parts were merged: no result depends on them."""

PASSING_FILES = ("results/", "training/")
"""Files that are compared by what they say, and states that a process left which was killed when it had its weights."""


@dataclass
class Night:
    """How a night ended.

    Attributes
    ----------
    problems
        What should not be; empty after a good night.
    log
        Its operations: virtual seconds, process, operation, key.
    """

    seed: object
    problems: list[str] = field(default_factory=list)
    log: list[tuple[float, str, str, str]] = field(default_factory=list)
    state: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    redone: int = 0
    overlaps: int = 0
    kills: int = 0
    operations: int = 0
    virtual_s: float = 0.0

    def told(self):
        return [f"{at_s:10.3f}  {who:8} {what:22} {key}" for at_s, who, what, key in self.log]


def hush():
    """Keep quiet in this process about units that fail: they are what a night is about."""
    logging.disable(logging.CRITICAL)


def night(seed):
    """Let a night happen; return how it ended."""
    quiet = quiet_night()
    return _judged(_happen(seed, Weather.drawn(seed)), quiet)


@cache
def quiet_night():
    """Return a night with one trigger and no fault: what all others must end as."""
    weather = Weather("quiet")
    weather.quiet = True
    calm = _happen("quiet", weather)
    if calm.problems or calm.computed != len(units.MODELS) * len(units.SPLITS) * units.ROW_GROUPS:
        raise AssertionError(calm.problems)
    return calm


def _happen(seed, weather):
    world = World(seed)
    bucket = Bucket(world, weather)
    found = Night(seed, log=world.log)
    with _installed(world, bucket, weather):
        for number, (at_s, host, processes) in enumerate(weather.triggers):
            share = (number % 2, 2) if len(weather.triggers) > 1 else (0, 1)
            _trigger(world, weather, f"run {number}", at_s, host, processes, share)
        world.run()
        stuck = list(world.errors)
        weather.quiet = True
        outcome = _trigger(world, weather, "last", 0.0, 2, 2, (0, 1))
        world.run()
        standins.as_a_new_process()
        found.problems += [f"the night does not end: {error!r}" for error in stuck]
        found.problems += [f"the last trigger failed: {error!r}" for error in world.errors[len(stuck) :]]
        if outcome.error is not None:
            found.problems.append(f"the last trigger failed: {outcome.error}")
        try:
            found.state = _state(bucket)
            found.problems += _verified()
        except ExplainedError as error:
            found.problems.append(f"unreadable: {error}")
    found.computed, found.redone, found.overlaps = len(world.computed), world.redone, world.overlaps
    found.kills = sum("killed" in what for _, _, what, _ in world.log)
    found.operations, found.virtual_s = len(world.log), world.now_s
    if world.redone:
        found.problems.append(f"{world.redone} row groups were computed whose marker was there")
    if weather.spares_claims and world.overlaps:
        found.problems.append(f"{world.overlaps} row groups were computed by two living processes at once")
    return found


@contextmanager
def _installed(world, bucket, weather):
    def is_marked(dump, row_group):
        return f"{_prefix()}/{STORE}/{dump._markers.key(row_group)}" in bucket.objects

    world.is_marked = is_marked
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "WORLD", world)
        standins.install(patch, world, bucket, units, weather.begun)
        yield


def _prefix():
    return URL.removeprefix("s3://night/")


def _trigger(world, weather, name, at_s, host, processes, share):
    """Begin a run in a process of its own, after a while; as `flows.runner.run` without Prefect."""
    outcome = SimpleNamespace(error=None)
    process = world.process(name, f"host {host}", skew_s=0.0 if weather.quiet else weather.skews[host])
    asked = Asked("night", URL, STEPS, share=share)

    def run():
        try:
            _run(asked, processes)
        except ExplainedError as error:
            world.note(f"ended: {type(error).__name__}", str(error))
            outcome.error = error

    world.start(process, run, is_main=True, after_s=at_s)
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


def _state(bucket):
    """Return name → digest of everything that a run leaves for its reader."""
    place = RunPlace.at(URL)
    files = place.files
    state = {file.name: file.digest for file in files.listing() if not file.name.startswith(PASSING_FILES)}
    for name, content in files.records().items():
        if not name.startswith(PASSING):
            state[f"record {name}"] = digest_of(content)
    for name in ("index.html", "findings.json"):
        state[f"report {name}"] = digest_of(files.read_published("report", name).decode())
    state["results"] = units.table_text(place)
    home = f"{_prefix()}/{STORE}/"
    for key, known in bucket.objects.items():
        if key.startswith(home) and "/partial/" not in key:
            state[key] = digest_of(known.data.hex())
    return state


def _verified():
    problems = RunPlace.at(URL).files.verify() + open_store(f"{URL}/{STORE}").verify()
    return [f"verify: {problem}" for problem in problems]


def _judged(found, quiet):
    if found.state:
        names = sorted(found.state.keys() | quiet.state.keys())
        found.problems += [
            f"{name} is {found.state.get(name)!r:.200}, in a quiet run {quiet.state.get(name)!r:.200}"
            for name in names
            if found.state.get(name) != quiet.state.get(name)
        ]
    return found
