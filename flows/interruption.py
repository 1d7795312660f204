"""Ctrl-C and SIGTERM: noticed whatever Prefect does with signals, and told as one error."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_END = b"\0"


class Interrupted(KeyboardInterrupt):
    """The run was interrupted by a signal, and says how to go on.

    Attributes
    ----------
    exit_code
        What the process should exit with: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, out: str, signum: signal.Signals) -> None:
        self.out, self.signum, self.exit_code = out, signum, 128 + signum
        super().__init__(
            f"Interrupted. What was finished is kept in {out}; the same command continues where it stopped."
        )


class Interruption:
    """Whether the block around was asked to stop, and who is to be told.

    Attributes
    ----------
    signum
        The signal that asked, or None.
    """

    def __init__(self) -> None:
        self.signum: signal.Signals | None = None
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def tell(self, listener: Callable[[], None]) -> None:
        """Call `listener` from another thread when a signal asks to stop, or at once if one has."""
        with self._lock:
            self._listeners.append(listener)
            # The listener is called outside the lock, because it may itself take a while or ask again.
            asked = self.signum is not None
        if asked:
            listener()

    def ask(self, signum: signal.Signals) -> None:
        """Note the signal, and tell all listeners. Only the first one counts."""
        with self._lock:
            if self.signum is not None:
                return
            self.signum = signum
            listeners = list(self._listeners)
        for listener in listeners:
            listener()


@contextmanager
def interruptible(out: str) -> Iterator[Interruption]:
    """Turn Ctrl-C and SIGTERM inside the block into `Interrupted`. Outside the main thread signals are left alone.

    The exception that a signal handler raises is not enough. During a flow Prefect puts handlers of its own in place,
    and Python drops what is raised inside a destructor, so that a run went on to its end (seen). So the block also
    reads the signals that arrive from the interpreter's wake-up descriptor, which no handler can hide. Whatever
    error the block then ends with, it was asked to stop, and that is what is said.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Interruption()
        return

    def terminated(signum: int, _frame: FrameType | None) -> NoReturn:
        raise Interrupted(out, signal.Signals(signum))

    interruption = Interruption()
    previous = signal.signal(signal.SIGTERM, terminated)
    try:
        with _watched(interruption):
            yield interruption
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(out, signal.SIGINT) from None
    # Whatever broke after a signal came, in Prefect or below it, broke because of the signal.
    except Exception:
        if interruption.signum is None:
            raise
        raise Interrupted(out, interruption.signum) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _watched(interruption: Interruption) -> Iterator[None]:
    """Ask to stop as soon as one of the signals arrives in this process."""
    reader, writer = os.pipe()
    # The interpreter writes from its signal handler, which must never wait for a full pipe.
    os.set_blocking(writer, False)

    def watch() -> None:
        # Python writes the number of each signal into the pipe, one byte each. The zero that ends the
        # thread is no signal's number.
        while (arrived := os.read(reader, 1)) not in {_END, b""}:
            if arrived[0] in _SIGNALS:
                interruption.ask(signal.Signals(arrived[0]))

    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.write(writer, _END)
        watcher.join()
        os.close(reader)
        os.close(writer)
