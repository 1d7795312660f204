"""The course of a run: its steps one after the other, each over what is left when units of those before have failed.

No Prefect here: the command line takes this course by itself for a single step, and inside a flow for all of them.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from flows.unit import Ended, Unit
from stitchpipe.errors import ExplainedError
from stitchpipe.run.ledger import Ledger
from stitchpipe.run.place import RunPlace
from stitchpipe.steps.failures import UnitsFailedError
from stitchpipe.steps.work_units import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from flows.asked import Asked
    from flows.pool import WorkerPool
    from flows.unit import Record
    from stitchpipe.run.ledger import Reason
    from stitchpipe.steps import Units


class Known(Protocol):
    """What a course must know of a run; a module, such as `flows.work`, and also what performs its units."""

    def kept(self, unit: Unit) -> Record | None:
        """Return the record of a unit that is done already, or None."""

    def key(self, unit: Unit) -> str:
        """Return a digest of what a unit is asked to do."""

    def networks(self, sweep: str, out: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the names of the networks."""

    def units(self, sweep: str, out: str, without: tuple[str, ...] = ()) -> Units:
        """Return the units of the steps behind the inspections."""

    def check_declaration(self, sweep: str, out: str, wanted: Sequence[str]) -> None:
        """Refuse a wrong sweep before anything is known of its networks."""

    def check(self, sweep: str, out: str, without: tuple[str, ...], wanted: Sequence[str]) -> None:
        """Refuse a wrong sweep when the networks are known."""

    def is_mistake(self, ended: Ended) -> bool:
        """Return whether an inspection failed because the sweep is wrong."""


class Course:
    """A run under way. Each of its methods is a step, and they are called in their order.

    Parameters
    ----------
    pool
        Carries out the units; who knows what of the run is the module that it names as its `work`.

    Attributes
    ----------
    ended
        How each unit ended.
    lost
        The models that failed, and because of which unit.
    """

    def __init__(self, asked: Asked, pool: WorkerPool) -> None:
        self.asked, self.pool = asked, pool
        self.ended: list[Ended] = []
        self.lost: dict[str, str] = {}
        self._taken: dict[str, list[Ended]] = {}
        self._known = cast("Known", importlib.import_module(pool.work))
        self._ledger = Ledger(RunPlace.at(asked.out).files)

    @property
    def without(self) -> tuple[str, ...]:
        """The models that the next units do without."""
        return tuple(sorted(self.lost))

    def take(self, name: str) -> list[Ended]:
        """Take one of `flows.asked.COURSE`, once; return how its units ended."""
        if name not in self._taken:
            self._taken[name] = getattr(self, name.replace(" ", "_"))()
        return self._taken[name]

    def inspect(self) -> list[Ended]:
        """Inspect every network.

        Raises
        ------
        ExplainedError
            The sweep is wrong, in itself or because of what was found.
        """
        asked = self.asked
        self._known.check_declaration(asked.sweep, asked.out, asked.steps)
        models = self._known.networks(asked.sweep, asked.out)
        ended = self._carry_out([self._unit("inspect", (model,)) for model in models])
        mistakes = [each for each in ended if each.state == "failed" and self._known.is_mistake(each)]
        for mistake in mistakes:  # whoever corrects it must not find an old verdict
            self._ledger.forget(mistake.unit.name)
        refuse(asked.out, [_error(each.reason) for each in mistakes if each.reason is not None])
        self._lose(ended)
        return ended

    def begin(self) -> list[Ended]:
        """Find the models that failed in an earlier command, and refuse what is wrong; before any later step."""
        before = len(self.ended)
        asked, known = self.asked, self._known
        if "inspect" not in asked.steps:
            known.check_declaration(asked.sweep, asked.out, asked.steps)
            self._lose_known(
                self._unit("inspect", (model,)) for model in known.networks(asked.sweep, asked.out)
            )
        if not self._is_anything_left():
            return self.ended[before:]
        known.check(asked.sweep, asked.out, self.without, asked.steps)
        if "dump" not in asked.steps:
            of_models = known.units(asked.sweep, asked.out, self.without)
            self._lose_known(self._unit("train", (model,)) for model in of_models.models)
            self._lose_known(self._unit("dump", names) for names in of_models.dumps)
        return self.ended[before:]

    def begin_activations(self) -> None:
        """Begin the trainings and dumps that depend on no other, and return at once; `activations` waits for them."""
        if self._is_anything_left():
            for rank, (unit, needed) in enumerate(self._activation_needs.items()):
                if not needed and self._ended_before(unit) is None:
                    self.pool.submit(unit, rank)

    def activations(self) -> list[Ended]:
        """Train and dump: a network's dump begins when its own training has ended, whatever the others do."""
        if not self._is_anything_left():
            return []
        ended = self._carry_out(list(self._activation_needs), self._activation_needs)
        self._lose(ended)
        return ended

    @cached_property
    def _activation_needs(self) -> dict[Unit, tuple[Unit, ...]]:
        """The trainings and dumps of what is left, and what each needs first."""
        units = self._known.units(self.asked.sweep, self.asked.out, self.without)
        needs: dict[Unit, tuple[Unit, ...]] = {}
        trainings = {model: self._unit("train", (model,)) for model in units.models}
        if "train" in self.asked.steps:
            needs |= dict.fromkeys(trainings.values(), ())
        if "dump" in self.asked.steps:
            networks = [names for names in units.dumps if names[0] in trainings]
            dumps = {names: self._unit("dump", names, self.asked.part) for names in networks}
            for (model, _), dump in dumps.items():
                needs[dump] = (trainings[model],) if trainings[model] in needs else ()
            for model, split in units.dumps:
                if model not in trainings:
                    origin = dumps.get((units.origins.get(model, ""), split))
                    needs[self._unit("dump", (model, split))] = () if origin is None else (origin,)
        return needs

    def compare(self) -> list[Ended]:
        """Compare what is left."""
        if not self._is_anything_left():
            return []
        units = self._known.units(self.asked.sweep, self.asked.out, self.without)
        return self._carry_out([self._unit("compare", option=self.asked.scheduler)] if units.views else [])

    def fit_maps(self) -> list[Ended]:
        """Fit the maps that stitches begin with."""
        if not self._is_anything_left():
            return []
        return self._carry_out([self._unit("fit maps", option=self.asked.scheduler)])

    def stitch(self) -> list[Ended]:
        """Make the stitches into every target layer that is left."""
        if not self._is_anything_left():
            return []
        units = self._known.units(self.asked.sweep, self.asked.out, self.without)
        return self._carry_out([self._unit("stitch", names) for names in units.targets])

    def report(self) -> list[Ended]:
        """Write the page."""
        return self._carry_out([self._unit("report")]) if self._is_anything_left() else []

    def demand_success(self) -> None:
        """Raise `stitchpipe.steps.UnitsFailedError` if a unit failed."""
        failed = {each.unit.name: each.reason for each in self.ended if each.reason is not None}
        if failed:
            raise UnitsFailedError(
                self.asked.out,
                {name: str(reason) for name, reason in failed.items()},
                of=len(self.ended),
                left_out=self.without,
                may_pass=any(reason.passing for reason in failed.values()),
            )

    def _unit(self, step: str, subject: tuple[str, ...] = (), option: str | None = None) -> Unit:
        # What comes before the dumps depends on one model alone, and is the same whatever else failed.
        without = () if step in {"inspect", "train"} else self.without
        return Unit(step, self.asked.sweep, self.asked.out, subject, option, without)

    def _carry_out(
        self, units: Sequence[Unit], needs: Mapping[Unit, tuple[Unit, ...]] | None = None
    ) -> list[Ended]:
        """Carry out units, each as soon as those that it needs are there; return how they ended, in order."""
        ended = {unit: known for unit in units if (known := self._ended_before(unit)) is not None}
        self._tell_of_kept(ended.values())
        waiting = {unit: rank for rank, unit in enumerate(units) if unit not in ended}
        running: dict[Future[Ended], Unit] = {}
        while waiting or running:
            for unit, rank in list(waiting.items()):
                needed = [ended.get(need) for need in (needs or {}).get(unit, ())]
                if any(each is not None and not each.is_there for each in needed):
                    del waiting[unit]
                    ended[unit] = Ended(unit, "left out", time.time(), time.time())
                elif None not in needed:
                    del waiting[unit]
                    running[self.pool.submit(unit, rank)] = unit
            if not running and waiting:
                raise RuntimeError(
                    f"units that wait for each other: {', '.join(unit.name for unit in waiting)}"
                )
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                ended[running.pop(future)] = future.result()
        in_order = [ended[unit] for unit in units]
        self.ended += in_order
        return in_order

    def _ended_before(self, unit: Unit) -> Ended | None:
        """Return how a unit ended before this run, where it need not be tried; None where it is to be carried out."""
        now_s = time.time()
        if self.pool.has(unit):
            return None
        record = self._known.kept(unit)
        if record is not None:
            return Ended(unit, "kept", now_s, now_s, record)
        before = self._ledger.of(unit.name)
        if before is None or before.state != "failed":
            return None
        if self.asked.retry_failed:
            self._ledger.forget(unit.name)
            return None
        if before.is_final and before.key == self._known.key(unit):
            self.pool.progress.say(unit.name, f"failed before: {before.reason}")
            return Ended(unit, "failed", now_s, now_s, reason=before.reason)
        return None

    def _tell_of_kept(self, ended: Iterable[Ended]) -> None:
        counts = Counter(each.unit.step for each in ended if each.state == "kept")
        for step, count in counts.items():
            self.pool.progress.say(step, f"{count} there already")

    def _lose(self, ended: Iterable[Ended]) -> None:
        """Go on without the models of units that failed."""
        for each in ended:
            if not each.is_there and each.unit.subject:
                self.lost.setdefault(each.unit.subject[0], each.unit.name)

    def _lose_known(self, units: Iterable[Unit]) -> None:
        """Go on without models whose units are not done, and are known to fail."""
        failed = []
        for unit in units:
            if self._known.kept(unit) is None:
                before = self._ledger.of(unit.name)
                if before is not None and before.state == "failed" and before.key == self._known.key(unit):
                    now_s = time.time()
                    failed.append(Ended(unit, "failed", now_s, now_s, reason=before.reason))
        self.ended += failed
        self._lose(failed)

    def _is_anything_left(self) -> bool:
        """Whether there is a model that did not fail, or none of this run could."""
        networks = self._known.networks(self.asked.sweep, self.asked.out)
        return not networks or any(network not in self.lost for network in networks)


def _error(reason: Reason) -> ExplainedError:
    return ExplainedError(
        where=reason.where, expected=reason.expected, found=reason.found, remedy=reason.remedy
    )


_ACTIVE: ContextVar[Course | None] = ContextVar("stitchpipe_course", default=None)


@contextmanager
def active(course: Course) -> Iterator[Course]:
    """Let the flow that runs inside the block go on with a course that was begun before it."""
    token = _ACTIVE.set(course)
    try:
        yield course
    finally:
        _ACTIVE.reset(token)


def active_course() -> Course | None:
    """Return the course of the block around this call, if there is one."""
    return _ACTIVE.get()
