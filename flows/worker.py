"""What runs in a worker process: units of work come in over a connection, reports and ends go out.

Started by `flows.worker_process` as ``python -m flows.worker FD WORK``: the number of the file descriptor that is its
end of the connection, and the module that performs units (`stitchpipe.steps.claimed.Work`).
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import logging.handlers
import queue
import signal
import sys
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn, cast

from stitchpipe.steps.claimed import Claimant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from stitchpipe.steps.claimed import Work

#: Reports that follow each other faster than this are left out, but for the last one.
_REPORT_EVERY_S = 0.05


class Outbox:
    """The worker's end of the connection: what goes to the parent, from any thread.

    Messages are pairs: ``("progress", (done, total))``, ``("log", record)``, ``("begun", key)``, and at the end of a
    unit what `stitchpipe.steps.claimed.Claimant.carry_out` answers.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def send(self, kind: str, content: Any) -> None:
        """Send one message."""
        # Progress, log records and the result come from different threads, and two messages must not mix on
        # the wire.
        with self._lock:
            self._connection.send((kind, content))

    def reporter(self) -> Callable[[int, int], None]:
        """Return the ``report(done, total)`` of one unit."""
        last_s = 0.0

        def report(done: int, total: int) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            # The last report always goes out, whatever the interval, because it says that all is done.
            if done >= total or now_s - last_s >= _REPORT_EVERY_S:
                last_s = now_s
                self.send("progress", (done, total))

        return report


class _Forwarding(logging.handlers.QueueHandler):
    """Sends log records to the parent, which shows them beside its own."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(queue.SimpleQueue())  # never filled
        self._outbox = outbox

    def enqueue(self, record: logging.LogRecord) -> None:
        self._outbox.send("log", record)


def serve(connection: Connection, work: Work) -> None:
    """Carry out the units that come in, one after the other, until the parent closes the connection."""
    outbox = Outbox(connection)
    logging.getLogger().addHandler(_Forwarding(outbox))
    # The parent's levels decide over what is shown; here nothing that a parent may want is held back.
    for name in ("flows", "stitchpipe"):
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # The parent has closed the connection, or is gone: either way there is nobody left to work for.
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), Claimant(work) as claimant:
        while True:
            unit = connection.recv()
            begun = partial(outbox.send, "begun")
            outbox.send(*claimant.carry_out(unit, outbox.reporter(), begun))


def _leave(signum: int, _frame: FrameType | None) -> NoReturn:
    """End by unwinding, so that temporary files are removed and child processes stopped."""
    raise SystemExit(128 + signum)


def main(arguments: Sequence[str]) -> None:
    """Serve as a worker process; see the module."""
    descriptor, work = arguments
    # By default SIGTERM ends Python at once, and temporary files would stay behind.
    signal.signal(signal.SIGTERM, _leave)
    serve(Connection(int(descriptor)), cast("Work", importlib.import_module(work)))


if __name__ == "__main__":
    main(sys.argv[1:])
