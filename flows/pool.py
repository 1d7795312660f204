"""Worker processes that carry out the units of one run, several at a time.

Processes and not threads: while torch.fx traces a network it replaces the call of every module in its process, so
that a forward pass in another thread fails. Each process opens the run once and keeps it open.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

from flows.log_folder import LogFolder
from flows.passing import BACK_OFF_S, TRIES
from flows.progress import Silent
from flows.unit import Ended
from flows.waiting import Order, WaitingUnits
from flows.worker_process import WorkerProcess
from stitchpipe.run.ledger import Ledger, Outcome
from stitchpipe.run.place import RunPlace
from storage import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.progress import Progress
    from flows.unit import Unit
    from flows.worker_process import Answered

logger = logging.getLogger("flows.units")
logger.addHandler(logging.NullHandler())  # the command line tells the same in its own way

LOOK_AGAIN_S: Final = (0.5, 1.0, 2.0, 5.0)
"""After how long a unit that somebody else works on is looked at again, the last for ever."""


class PoolClosedError(RuntimeError):
    """A unit was not finished because its pool was closed: the run ended, or was asked to stop."""


class WorkerPool:
    """Carries out units of work in processes of its own, one unit at a time in each.

    A process starts when there is a unit for it and none that is idle is left, so that no more run than are useful. A
    unit that fails ends nothing but itself: the process goes on with the next, or a new one does where it died. What
    may pass is tried again after a while. A unit that another run works on is waited for, behind all others.

    Parameters
    ----------
    processes
        How many at most.
    environment
        What their environment adds to this process's.
    progress
        Hears how far units are, from several threads; `done` is `total` once, when the unit has its record.
    work
        The module that performs units; see `stitchpipe.steps.claimed.Work`.
    timeout_s
        How long a unit may take.

    Attributes
    ----------
    work
        As given.
    ended
        How units ended, in the order of their ends.
    failure
        Why the pool was stopped.
    """

    def __init__(
        self,
        processes: int,
        *,
        environment: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        work: str = "flows.work",
        timeout_s: float | None = None,
    ) -> None:
        self.processes, self.ended = processes, list[Ended]()
        self._environment, self.work, self._timeout_s = dict(environment or {}), work, timeout_s
        self.progress: Progress = Silent() if progress is None else progress
        self._lock = threading.Lock()
        self._waiting = WaitingUnits()
        self._futures: dict[Unit, Future[Ended]] = {}
        self._unfinished, self._attendants = 0, list[threading.Thread]()
        self._logs = LogFolder()
        self.failure: Exception | None = None

    def submit(self, unit: Unit, rank: int = 0) -> Future[Ended]:
        """Return how a unit will end; the same future however often it is submitted. Low ranks begin first.

        The future raises nothing but what `stop` was given.
        """
        with self._lock:
            # The runner begins some units before the flow asks for them; each is carried out once.
            if unit not in self._futures:
                self._futures[unit] = Future()
                if self.failure is not None:
                    self._futures[unit].set_exception(self.failure)
                else:
                    self._waiting.put(Order(unit, rank, self._futures[unit]))
                    self._unfinished += 1
                    # Where the units that are unfinished outnumber the attendants, none of these is idle.
                    if len(self._attendants) < min(self.processes, self._unfinished):
                        self._start_another()
            return self._futures[unit]

    def has(self, unit: Unit) -> bool:
        """Whether a unit was submitted."""
        with self._lock:
            return unit in self._futures

    def stop(self, reason: Exception) -> None:
        """Begin nothing more and stop what is running; all that is unfinished fails with `reason`.

        Returns at once. Only the first reason counts.
        """
        with self._lock:
            if self.failure is not None:
                return
            self.failure = reason
        for order in self._waiting.close():
            order.future.set_exception(reason)

    def close(self) -> None:
        """Stop everything and return when every process has ended. Idempotent."""
        self.stop(PoolClosedError("the pool of worker processes is closed"))
        for attendant in self._attendants:
            attendant.join()
        self._logs.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_another(self) -> None:
        """Start a thread, which starts a process of its own; all others are busy."""
        number = len(self._attendants)
        # The thread gets the context of whoever submits, which tells Prefect's handlers whose logs these are.
        run = copy_context().run
        thread = threading.Thread(
            target=run, args=(self._attend, number), name=f"worker {number}", daemon=True
        )
        self._attendants.append(thread)
        thread.start()

    def _attend(self, number: int) -> None:
        """Hand units to one worker process, one after the other, until the pool ends.

        The process is started and stopped by this thread: its parent-death signal fires when the thread ends.
        """
        worker = WorkerProcess(number, self.work, self._environment, self._logs.path, self._timeout_s)
        try:
            while (order := self._waiting.take()) is not None:
                self._carry_out(worker, order)
        finally:
            worker.stop()

    def _carry_out(self, worker: WorkerProcess, order: Order) -> None:
        """Have a unit carried out; whatever happens, whoever waits for it hears of it."""
        try:
            self._try(worker, order)
        except BaseException as error:  # noqa: BLE001 - a stop, and what log handlers of others raise: even SystemExit
            if not order.future.done():
                order.future.set_exception(error)

    def _try(self, worker: WorkerProcess, order: Order) -> None:
        unit, total = order.unit, 1

        def report(done: int, of: int) -> None:
            nonlocal total
            total = of
            if done < of:  # some steps count in several rounds: only the record says that all is done
                self.progress(unit.name, done, of)

        begun_s = time.time()
        if not order.visits:
            report(0, total)
            logger.info("begin %s", unit.name)
        answer = worker.perform(unit, report, lambda: self.failure)
        if answer.kind == "held":
            self._look_again(order, answer)
        elif answer.kind == "failed":
            self._failed(order, answer, begun_s)
        else:
            self.progress(unit.name, total, total)
            self._end(order, Ended(unit, answer.kind, begun_s, time.time(), answer.content))

    def _look_again(self, order: Order, answer: Answered) -> None:
        """Put a unit that somebody else works on behind the others, for a while."""
        if not order.visits:
            holder = answer.content
            line = f"{holder['host']}, process {holder['pid']}, works on it"
            self.progress.say(order.unit.name, line)
            logger.info("%s: %s", order.unit.name, line)
        pause_s = LOOK_AGAIN_S[min(order.visits, len(LOOK_AGAIN_S) - 1)]
        self._again(replace(order, ready_s=time.monotonic() + pause_s, visits=order.visits + 1))

    def _failed(self, order: Order, answer: Answered, begun_s: float) -> None:
        """Try a unit again, or let it end as failed."""
        unit, reason, tries = order.unit, answer.content, order.tries + 1
        if not answer.is_noted:
            self._note(unit, answer, begun_s)
        if reason.passing and tries < TRIES:
            pause_s = BACK_OFF_S[min(order.tries, len(BACK_OFF_S) - 1)]
            line = f"tried again in {pause_s:g} s ({tries + 1} of {TRIES}): {reason}"
            self.progress.say(unit.name, line)
            logger.warning("%s: %s", unit.name, line)
            self._again(replace(order, tries=tries, ready_s=time.monotonic() + pause_s))
            return
        self.progress.say(unit.name, f"failed: {reason}")
        self._end(order, Ended(unit, "failed", begun_s, time.time(), reason=reason))

    def _note(self, unit: Unit, answer: Answered, begun_s: float) -> None:
        """Put on record what a worker process could not, because it was ended."""
        with suppress(StoreError):  # the run says it anyway; only the next one will not know
            ledger = Ledger(RunPlace.at(unit.out).files)
            before = ledger.of(unit.name)
            same = before is not None and (before.state, before.key) == ("failed", answer.key)
            ledger.note(
                Outcome(
                    unit=unit.name,
                    state="failed",
                    key=answer.key,
                    begun_s=begun_s,
                    seconds=time.time() - begun_s,
                    worker="",
                    attempts=1 + (before.attempts if before is not None and same else 0),
                    reason=answer.content,
                    subject=unit.subject,
                )
            )

    def _again(self, order: Order) -> None:
        with self._lock:
            if self.failure is None:
                self._waiting.put(order)
                return
        order.future.set_exception(self.failure)

    def _end(self, order: Order, ended: Ended) -> None:
        level = logging.INFO if ended.is_there else logging.WARNING
        why = "" if ended.reason is None else f": {ended.reason}"
        logger.log(level, "%s: %s in %.1f s%s", ended.unit.name, ended.state, ended.seconds, why)
        with self._lock:
            self._unfinished -= 1
            self.ended.append(ended)
        order.future.set_result(ended)
