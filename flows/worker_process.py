"""One worker process as its pool sees it."""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flows.passing import death_may_pass
from flows.processes import OwnedProcess, ending
from stitchpipe.run.ledger import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flows.unit import Unit

_POLL_S = 0.1
_GRACE_S = 3.0

Heard: TypeAlias = "Callable[[int, int], None]"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a worker process made of a unit.

    Attributes
    ----------
    kind, content
        As `stitchpipe.steps.claimed.Answer` has them.
    key
        Digest of what the unit was asked to do; empty where it had not begun.
    is_noted
        Whether the worker put the end on record itself: one that died did not.
    """

    kind: Literal["done", "kept", "held", "failed"]
    content: Any
    key: str = ""
    is_noted: bool = True


class WorkerProcess:
    """A process that carries out one unit at a time; it is started by the first, and anew after it died.

    Parameters
    ----------
    work
        The module that performs units; see `stitchpipe.steps.claimed.Work`.
    timeout_s
        How long a unit may take before the process is ended; None: as long as it wants.
    """

    def __init__(
        self,
        number: int,
        work: str,
        environment: Mapping[str, str],
        logs: Path,
        timeout_s: float | None = None,
    ) -> None:
        self._name, self._work, self._timeout_s = f"worker {number}", work, timeout_s
        path = os.pathsep.join(filter(None, sys.path))  # it finds the modules that this process finds
        self._environment = {**os.environ, **environment, "PYTHONPATH": path}
        self._log = logs / f"{number}.log"
        self._process: OwnedProcess | None = None

    def perform(self, unit: Unit, report: Heard, stopped: Callable[[], Exception | None]) -> Answered:
        """Have a unit carried out; where the process dies or takes too long, that is how the unit failed.

        Raises
        ------
        Exception
            What `stopped` returns as soon as it returns an error.
        """
        if (reason := stopped()) is not None:
            raise reason
        process, begun_s = self._started(), time.monotonic()
        key = ""
        try:
            self._connection.send(unit)
            while self._heard_before(begun_s, stopped):
                kind, content = self._connection.recv()
                match kind:
                    case "progress":
                        report(*content)
                    case "log":
                        _log(content)
                    case "begun":
                        key = content
                    case _:
                        return Answered(kind, content, key)
            failed = self._late(unit)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            failed = self._death(unit, process)
        self._end()
        return Answered("failed", failed, key, is_noted=False)

    def _heard_before(self, begun_s: float, stopped: Callable[[], Exception | None]) -> bool:
        """Wait until the process says something; return False where it took too long, and raise what stops the pool."""
        # A blocking `recv` could not be interrupted by another thread, so the wait is cut into short pieces
        # in which a stop is noticed.
        while not self._connection.poll(_POLL_S):
            if (reason := stopped()) is not None:
                raise reason
            if self._timeout_s is not None and time.monotonic() - begun_s > self._timeout_s:
                return False
        return True

    def stop(self) -> None:
        """End the process, if it was started."""
        if self._process is not None:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        self._connection.close()
        if process is not None:
            process.stop(_GRACE_S)

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

    def _death(self, unit: Unit, process: OwnedProcess) -> Reason:
        """Return how the process ended in the middle of a unit, as the reason why that failed."""
        # The connection breaks before the process has ended; a little patience gives its exit status.
        status = process.wait(_GRACE_S)
        how = "closed its connection" if status is None else f"ended {ending(status)}"
        last_words = process.log_tail()
        return Reason(
            where=f"{unit.name} (worker process {process.pid})",
            expected="its record",
            found=f"that the process {how}",
            remedy="Where memory ran out, set processes in the sweep's [run] to fewer."
            + (f" The process said last:\n{last_words}" if last_words else ""),
            kind="ProcessError",
            passing=death_may_pass(status),
        )

    def _late(self, unit: Unit) -> Reason:
        return Reason(
            where=unit.name,
            expected=f"an end within {self._timeout_s:g} s",
            found="that it still ran, and was ended",
            remedy="Raise run.unit_timeout_s. What it had finished of a dump or a stitch is kept.",
            kind="TimeoutError",
            passing=False,
        )


def _log(record: logging.LogRecord) -> None:
    """Hand a record of the worker's to the logger it was written to: this process's levels and handlers decide."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
