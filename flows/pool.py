"""Worker processes that carry out the units of one run, several at a time.

Processes and not threads: while torch.fx traces a network it replaces the call of every module in its process, so
that a forward pass in another thread fails. Each process opens the run once and keeps it open.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Self

from flows.processes import OwnedProcess, ProcessError, ending
from flows.progress import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flows.progress import Progress
    from flows.unit import Record, Unit

_POLL_S = 0.1
_GRACE_S = 3.0


class PoolClosedError(RuntimeError):
    """A unit was not finished because its pool was closed: the run ended, or was asked to stop."""


@dataclass(frozen=True, slots=True)
class FinishedUnit:
    """A unit that was carried out, and when: in seconds since its pool was made."""

    unit: Unit
    begun_s: float
    ended_s: float


class WorkerPool:
    """Carries out units of work in processes of its own, one unit at a time in each.

    A process starts when there is a unit for it and none that is idle is left, so that no more run than are useful.
    The first unit that fails ends the pool: what is running is stopped, and nothing more begins. A unit that was
    stopped continues in the next run where its step can.

    Parameters
    ----------
    processes
        How many at most.
    environment
        What their environment adds to this process's.
    progress
        Called with (unit, done, total), from several threads; `done` is `total` once, when the unit has its record.
    work
        What performs a unit, as ``module:function``; see `flows.worker`.

    Attributes
    ----------
    finished
        The units that were carried out, in the order of their ends.
    """

    def __init__(
        self,
        processes: int,
        *,
        environment: Mapping[str, str] | None = None,
        progress: Progress = silent,
        work: str = "flows.work:perform",
    ) -> None:
        self.processes, self.finished = processes, list[FinishedUnit]()
        self._environment, self._progress, self._work = dict(environment or {}), progress, work
        self._made_s = time.monotonic()
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[Unit, Future[Record]] | None] = queue.SimpleQueue()
        self._futures: dict[Unit, Future[Record]] = {}
        self._unfinished, self._attendants = 0, list[threading.Thread]()
        self._logs = tempfile.TemporaryDirectory(prefix="stitchpipe-workers-")
        self.failure: Exception | None = None

    def submit(self, unit: Unit) -> Future[Record]:
        """Return the record that a unit will have; the same one however often the unit is submitted."""
        with self._lock:
            # Several flows may ask for the same unit; it is carried out once and all of them wait for its
            # record.
            if unit not in self._futures:
                self._futures[unit] = Future()
                if self.failure is not None:
                    self._futures[unit].set_exception(self.failure)
                else:
                    self._waiting.put((unit, self._futures[unit]))
                    self._unfinished += 1
                    # Where the units that are unfinished outnumber the attendants, none of these is idle.
                    if len(self._attendants) < min(self.processes, self._unfinished):
                        self._start_another()
            return self._futures[unit]

    def stop(self, reason: Exception) -> None:
        """Begin nothing more and stop what is running; all that is unfinished fails with `reason`.

        Returns at once. Only the first reason counts.
        """
        with self._lock:
            if self.failure is None:
                self.failure = reason
                # Each attendant takes one None from the queue, and ends.
                for _ in self._attendants:
                    self._waiting.put(None)

    def close(self) -> None:
        """Stop everything and return when every process has ended. Idempotent."""
        self.stop(PoolClosedError("the pool of worker processes is closed"))
        for attendant in self._attendants:
            attendant.join()
        self._logs.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_another(self) -> None:
        """Start a thread, which starts a process of its own; all others are busy."""
        number = len(self._attendants)
        thread = threading.Thread(target=self._attend, args=(number,), name=f"worker {number}", daemon=True)
        self._attendants.append(thread)
        thread.start()

    def _attend(self, number: int) -> None:
        """Hand units to one worker process, one after the other, until the pool ends.

        The process is started and stopped by this thread: its parent-death signal fires when the thread ends.
        """
        worker = WorkerProcess(number, self._work, self._environment, Path(self._logs.name))
        try:
            while (order := self._waiting.get()) is not None:
                self._carry_out(worker, *order)
        finally:
            worker.stop()

    def _carry_out(self, worker: WorkerProcess, unit: Unit, future: Future[Record]) -> None:
        begun_s = time.monotonic() - self._made_s
        total = 1

        def report(done: int, of: int) -> None:
            nonlocal total
            total = of
            if done < of:  # some steps count in several rounds: only the record says that all is done
                self._progress(unit.name, done, of)

        try:
            report(0, total)
            record = worker.perform(unit, report, lambda: self.failure)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the unit
            # The pool is stopped first: who waits for this unit must not submit another one that still
            # begins.
            self.stop(error)
            future.set_exception(error)
        else:
            self._progress(unit.name, total, total)
            with self._lock:
                self._unfinished -= 1
                self.finished.append(FinishedUnit(unit, begun_s, time.monotonic() - self._made_s))
            future.set_result(record)


class WorkerProcess:
    """One worker process as its pool sees it; it is started by the first unit."""

    def __init__(self, number: int, work: str, environment: Mapping[str, str], logs: Path) -> None:
        self._name, self._work = f"worker {number}", work
        path = os.pathsep.join(filter(None, sys.path))  # it finds the modules that this process finds
        self._environment = {**os.environ, **environment, "PYTHONPATH": path}
        self._log = logs / f"{number}.log"
        self._process: OwnedProcess | None = None

    def perform(
        self, unit: Unit, report: Callable[[int, int], None], stopped: Callable[[], Exception | None]
    ) -> Record:
        """Have a unit carried out and return its record.

        Raises
        ------
        ProcessError
            The process died.
        Exception
            What the unit raised; or what `stopped` returns as soon as it returns an error.
        """
        if (reason := stopped()) is not None:
            raise reason
        process = self._started()
        try:
            self._connection.send(unit)
            while True:
                # A blocking `recv` could not be interrupted by another thread, so the wait is cut into
                # short pieces in which a stop is noticed.
                while not self._connection.poll(_POLL_S):
                    if (reason := stopped()) is not None:
                        raise reason
                kind, content = self._connection.recv()
                match kind:
                    case "progress":
                        report(*content)
                    case "log":
                        # The record goes to the logger it was written to, so that this process's levels and
                        # handlers decide over it.
                        logging.getLogger(content.name).handle(content)
                    case "record":
                        return content  # type: ignore[no-any-return]  # the worker's side is typed
                    case "error":
                        raise content
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._death(unit, process) from None

    def stop(self) -> None:
        """End the process, if it was started."""
        if self._process is not None:
            self._connection.close()
            self._process.stop(_GRACE_S)

    def _started(self) -> OwnedProcess:
        if self._process is None:
            self._connection, theirs = Pipe()
            command = [sys.executable, "-P", "-m", "flows.worker", str(theirs.fileno()), self._work]
            self._process = OwnedProcess(
                self._name, command, env=self._environment, log=self._log, pass_fds=[theirs.fileno()]
            )
            # The child has its own copy by now. Unless ours is closed, the end of the child would not be
            # seen as an end of the connection.
            theirs.close()
        return self._process

    def _death(self, unit: Unit, process: OwnedProcess) -> ProcessError:
        """Return the error that says how the process ended in the middle of a unit."""
        # The connection breaks before the process has ended; a little patience gives its exit status.
        status = process.wait(_GRACE_S)
        how = "closed its connection" if status is None else f"ended {ending(status)}"
        last_words = process.log_tail()
        return ProcessError(
            where=f"{unit.name} (worker process {process.pid})",
            expected="its record",
            found=f"that the process {how}",
            remedy="What was finished is kept; the same command continues where it stopped. Where memory ran out, "
            "set processes in the sweep's [run] to fewer."
            + (f" The process said last:\n{last_words}" if last_words else ""),
        )


_ACTIVE: ContextVar[WorkerPool | None] = ContextVar("stitchpipe_worker_pool", default=None)


@contextmanager
def active(pool: WorkerPool) -> Iterator[WorkerPool]:
    """Let the tasks of all flows that run inside the block use `pool`, and close it at the end."""
    token = _ACTIVE.set(pool)
    try:
        with pool:
            yield pool
    finally:
        _ACTIVE.reset(token)


def active_pool() -> WorkerPool | None:
    """Return the pool of the block around this call, if there is one."""
    return _ACTIVE.get()
