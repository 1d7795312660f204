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
from typing import TYPE_CHECKING, cast

from flows.declared_units import DeclaredUnits
from flows.unit import WHOLE, Ended, Unit
from stitchpipe.errors import ExplainedError
from stitchpipe.run.ledger import Ledger
from stitchpipe.run.place import RunPlace
from stitchpipe.steps.failures import UnitsFailedError
from stitchpipe.steps.work_units import refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from flows.asked import Asked
    from flows.known import Known
    from flows.pool import WorkerPool
    from stitchpipe.run.ledger import Outcome, Reason
    from stitchpipe.run.settled import Settled


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
    tried_since_s
        By step, since when other processes have tried its units in this run's stead: what failed there is not tried
        again here.
    """

    def __init__(self, asked: Asked, pool: WorkerPool) -> None:
        self.asked, self.pool = asked, pool
        self.ended: list[Ended] = []
        self.lost: dict[str, str] = {}
        self.tried_since_s: dict[str, float] = {}
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
        ended = self._carry_out("inspect", [self._declared.unit("inspect", (model,)) for model in models])
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
                self._declared.unit("inspect", (model,)) for model in known.networks(asked.sweep, asked.out)
            )
        if not self._is_anything_left():
            return self.ended[before:]
        known.check(asked.sweep, asked.out, self.without, asked.steps)
        if "dump" not in asked.steps:
            of_models = known.units(asked.sweep, asked.out, self.without)
            self._lose_known(self._declared.unit("train", (model,)) for model in of_models.models)
            self._lose_known(self._declared.unit("dump", names) for names in of_models.dumps)
        return self.ended[before:]

    def missing(
        self, step: str, *, since_s: float | None = None, among: Sequence[Unit] | None = None
    ) -> list[Unit]:
        """Return the units of ``activations`` or ``stitch`` that are neither done nor known to fail, and can be begun.

        Parameters
        ----------
        since_s
            Failures since this time (seconds since the epoch) count, even those that may pass.
        among
            Of these units alone.
        """
        if not self._is_anything_left():
            return []
        units = self._beginnable(step) if among is None else among
        ended = self._known.done(units)
        return [unit for unit in units if unit not in ended and self._failed_before(unit, since_s) is None]

    def begin_activations(self) -> None:
        """Begin the trainings and dumps that depend on no other, and return at once; `activations` waits for them."""
        if self._is_anything_left():
            needs = self._needs_of("activations")
            ended = self._ended_before(list(needs))
            for rank, (unit, needed) in enumerate(needs.items()):
                if not needed and unit not in ended:
                    self.pool.submit(unit, rank)

    def activations(self) -> list[Ended]:
        """Train and dump: a network's dump begins when its own training has ended, whatever the others do."""
        if not self._is_anything_left():
            return []
        ended = self._carry_out("activations", self._needs_of("activations"))
        self._lose(ended)
        return ended

    def compare(self) -> list[Ended]:
        """Compare what is left."""
        if not self._is_anything_left():
            return []
        units = self._known.units(self.asked.sweep, self.asked.out, self.without)
        return self._carry_out(
            "compare", [self._declared.unit("compare", option=self.asked.scheduler)] if units.views else []
        )

    def fit_maps(self) -> list[Ended]:
        """Fit the maps that stitches begin with."""
        if not self._is_anything_left():
            return []
        return self._carry_out("fit maps", [self._declared.unit("fit maps", option=self.asked.scheduler)])

    def stitch(self) -> list[Ended]:
        """Make the stitches into every target layer that is left; where maps were not fitted, those without any."""
        return self._carry_out("stitch", self._needs_of("stitch")) if self._is_anything_left() else []

    def report(self) -> list[Ended]:
        """Write the page."""
        return self._carry_out("report", [self._declared.unit("report")]) if self._is_anything_left() else []

    def settle(self, settled: Settled, stamp: str | None) -> None:
        """Put on record that the steps are done, but for units that fail by themselves; `stamp` is from before."""
        if self.asked.part == WHOLE and not self._is_tried_again:
            told = {"units": self._told, "of": len(self.ended), "left out": list(self.without)}
            settled.note(self.asked.steps, stamp, told if self._failed else {})

    def demand_success(self) -> None:
        """Raise `stitchpipe.steps.UnitsFailedError` if a unit failed."""
        if self._failed:
            raise UnitsFailedError(
                self.asked.out,
                self._told,
                of=len(self.ended),
                left_out=self.without,
                is_tried_again=self._is_tried_again,
            )

    @property
    def _is_tried_again(self) -> bool:
        """Whether the next run tries one of the units again that failed."""
        return not all(reason.is_final for reason in self._failed.values())

    @property
    def _failed(self) -> dict[str, Reason]:
        return {each.unit.name: each.reason for each in self.ended if each.reason is not None}

    @property
    def _told(self) -> dict[str, str]:
        return {name: str(reason) for name, reason in self._failed.items()}

    def _beginnable(self, step: str) -> list[Unit]:
        """Return the units of a step that need none that failed before the step."""
        gone = {each.unit for each in self.ended if not each.is_there}
        return [unit for unit, needed in self._needs_of(step).items() if gone.isdisjoint(needed)]

    @property
    def _declared(self) -> DeclaredUnits:
        """The units that are left, as what failed so far leaves them."""
        return DeclaredUnits(self.asked, self._known, self.without)

    def _needs_of(self, step: str) -> dict[Unit, tuple[Unit, ...]]:
        """Return the units of ``activations`` or ``stitch`` in the order of this run's share, and what each needs."""
        if step == "activations":
            return self._declared.activations()
        unfitted = tuple(each.unit for each in self._taken.get("fit maps", ()) if not each.is_there)
        return self._declared.stitches(unfitted)

    def _carry_out(self, step: str, needs: Mapping[Unit, tuple[Unit, ...]] | Sequence[Unit]) -> list[Ended]:
        """Carry out units, each as soon as those that it needs are there; return how they ended, in order."""
        units = list(needs)
        needed_by = needs if isinstance(needs, dict) else {}
        ended = self._ended_before(units, self.tried_since_s.get(step))
        self._tell_of_kept(ended.values())
        before_this_step = {each.unit: each for each in self.ended}
        waiting = {unit: rank for rank, unit in enumerate(units) if unit not in ended}
        running: dict[Future[Ended], Unit] = {}
        while waiting or running:
            before = len(waiting)
            for unit, rank in list(waiting.items()):
                needed = [ended.get(need, before_this_step.get(need)) for need in needed_by.get(unit, ())]
                if any(each is not None and not each.is_there for each in needed):
                    del waiting[unit]
                    ended[unit] = Ended(unit, "left out", time.time(), time.time())
                elif None not in needed:
                    del waiting[unit]
                    running[self.pool.submit(unit, rank)] = unit
            if len(waiting) < before:
                continue  # what is left out decides over what needs it
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                ended[running.pop(future)] = future.result()
        ordered = [ended[unit] for unit in units]
        self.ended += ordered
        return ordered

    def _ended_before(self, units: Sequence[Unit], since_s: float | None = None) -> dict[Unit, Ended]:
        """Return how units ended before this run, or in other processes, that need not be tried now."""
        now_s, fresh = time.time(), [unit for unit in units if not self.pool.has(unit)]
        done = self._known.done(fresh)
        ended = {unit: Ended(unit, "kept", now_s, now_s, record) for unit, record in done.items()}
        for unit in fresh:
            if unit not in ended and (before := self._failed_before(unit, since_s)) is not None:
                self.pool.progress.say(unit.name, f"failed before: {before.reason}")
                ended[unit] = Ended(unit, "failed", now_s, now_s, reason=before.reason)
        return ended

    def _failed_before(self, unit: Unit, since_s: float | None = None) -> Outcome | None:
        """Return how a unit failed, if that is final, or was told since some time; under the same key alone."""
        before = self._ledger.of(unit.name)
        if before is None or before.state != "failed" or before.key != self._known.key(unit):
            return None
        is_recent = since_s is not None and before.begun_s >= since_s
        if self.asked.retry_failed and not is_recent:
            self._ledger.forget(unit.name)
            return None
        return before if before.is_final or is_recent else None

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
        """Go on without models whose units are not done, and failed when they were tried last."""
        asked = list(units)
        done = self._known.done(asked)
        before = {unit: self._failed_before(unit, 0.0) for unit in asked if unit not in done}
        now_s = time.time()
        failed = [
            Ended(unit, "failed", now_s, now_s, reason=outcome.reason)
            for unit, outcome in before.items()
            if outcome is not None
        ]
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
