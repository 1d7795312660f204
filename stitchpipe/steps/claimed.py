"""A unit of work under a claim: taken, found done or carried out, put on record, given back. In whatever process works.

The claim is the process's own, and so it falls to others when that process dies.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from stitchpipe.errors import ExplainedError
from stitchpipe.run.claims import Claims
from stitchpipe.run.ledger import Ledger, Outcome, Reason
from stitchpipe.run.place import RunPlace
from storage import CorruptError, EvictedError, NotFoundError, StoreError, UnreachableError, WriteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from stitchpipe.run.claims import Holder

logger = logging.getLogger(__name__)

Record: TypeAlias = dict[str, Any]
"""What a unit of work returns: a small JSON object."""
Report: TypeAlias = "Callable[[int, int], None]"
Answer: TypeAlias = tuple[Literal["done", "kept", "held", "failed"], Any]
"""What became of a unit: its record, its record, who works on it, or the reason."""


class Unit(Protocol):
    """A unit of work by name."""

    @property
    def name(self) -> str:
        """What people and records call it: ``dump A test``."""

    @property
    def out(self) -> str:
        """The run's folder or URL."""

    @property
    def subject(self) -> tuple[str, ...]:
        """What it is done to: names of a model, a split, a layer."""


class Work(Protocol):
    """What performs units of its own kind; an object or a module, such as `flows.work`."""

    def perform(self, unit: Any, report: Report) -> Record:
        """Do a unit."""

    def kept(self, unit: Any) -> Record | None:
        """Return a small record of a unit that is done already, or None; cheap."""

    def key(self, unit: Any) -> str:
        """Return a digest of what a unit is asked to do."""


_PASSING = (UnreachableError, WriteError, ConnectionError, TimeoutError, MemoryError)
_BY_NAME: Final = {
    "OutOfMemoryError",
    "ExecutionError",
    "SchedulerError",
    "WorkerLostError",
    "LostSchedulerError",
    "UnfittedError",
}
"""Classes of torch, the engine and the stitches, which are heavy to import for a question like this."""


class Claimant:
    """Carries out units of work under claims of this process; a context manager, which gives all back."""

    def __init__(self, work: Work) -> None:
        self._work, self._opened = work, ExitStack()
        self._ledgers: dict[str, tuple[Claims, Ledger]] = {}

    def carry_out(self, unit: Unit, report: Report, begun: Callable[[str], None]) -> Answer:
        """Carry out a unit unless it is done, or somebody else's, or known to fail; `begun` hears its key and claimant.

        Whatever is raised becomes a reason.
        """

        def heard(done: int, total: int) -> None:
            claims.note(unit.name, done, total)
            report(done, total)

        try:
            claims, ledger = self._on(unit.out)
            holder = claims.take(unit.name)
            if holder is not None:
                return "held", told(holder)
        except Exception as error:  # noqa: BLE001 - the place may refuse in any way
            return "failed", _reason(error)
        try:
            return self._carry_out(unit, (claims.worker.name, ledger), heard, begun)
        except Exception as error:  # noqa: BLE001 - the place again
            return "failed", _reason(error)
        finally:
            with suppress(StoreError):  # the claim lapses when this process ends
                claims.give_back(unit.name)

    def _carry_out(
        self, unit: Unit, records: tuple[str, Ledger], report: Report, begun: Callable[[str], None]
    ) -> Answer:
        work, (worker, ledger) = self._work, records
        # Somebody else may have done it between the plan and the claim.
        record = work.kept(unit)
        if record is not None:
            return "kept", record
        key, before = work.key(unit), ledger.of(unit.name)
        same = before if before is not None and (before.state, before.key) == ("failed", key) else None
        was_done = before is not None and (before.state, before.key) == ("done", key)
        if same is not None and same.is_final:
            return "failed", same.reason
        begun(key)
        begun_s, attempts = time.time(), 1 if same is None else same.attempts + 1
        reason: Reason | None = None
        record = {}
        try:
            record = work.perform(unit, report)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the unit
            reason = _reason(error)
        if was_done and reason is None:
            # It had nothing to do, or little: on record stays how long the work took.
            return "done", record
        ledger.note(
            Outcome(
                unit=unit.name,
                state="done" if reason is None else "failed",
                key=key,
                begun_s=begun_s,
                seconds=time.time() - begun_s,
                worker=worker,
                attempts=attempts,
                reason=reason,
                subject=unit.subject,
            )
        )
        return ("done", record) if reason is None else ("failed", reason)

    def _on(self, out: str) -> tuple[Claims, Ledger]:
        """Return this process's claims on a run, and the run's ledger."""
        if out not in self._ledgers:
            files = RunPlace.at(out).files
            self._ledgers[out] = self._opened.enter_context(Claims(files)), Ledger(files)
        return self._ledgers[out]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def may_pass(error: BaseException) -> bool:
    """Return whether the same work may succeed when it is tried again."""
    if isinstance(error, NotFoundError) and not isinstance(error, EvictedError) and "://" in error.where:
        return True  # the listings of a bucket may lag behind what was made
    return isinstance(error, _PASSING) or any(kind.__name__ in _BY_NAME for kind in type(error).__mro__)


def told(holder: Holder) -> dict[str, Any]:
    """Return who works on a unit, for people."""
    return {"host": holder.worker.host, "pid": holder.worker.pid, "since_s": holder.since_s}


def _reason(error: Exception) -> Reason:
    """Return why a unit failed; where the message alone does not explain it, the log gets the traceback."""
    if not isinstance(error, ExplainedError):
        logger.error("A unit of work failed unexpectedly.", exc_info=error)
    of_the_place = isinstance(error, (NotFoundError, CorruptError))
    return Reason.of(error, passing=may_pass(error), of_the_place=of_the_place)
