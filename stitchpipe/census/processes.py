"""One process for each network, with limits: what it does to itself, it does to its own row alone."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import resource
import time
import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import psutil  # type: ignore[import-untyped]

from stitchpipe.census.row import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

    from stitchpipe.census.subjects import Subject

MIB: Final = 1 << 20
POLL_S: Final = 0.1
PRELOADED: Final = (
    "stitchpipe.census.processes",
    "stitchpipe.census.examination",
    "torchvision",
    "timm",
    "transformers.modeling_utils",
)
"""Imported once, by the process that every network's process is forked from: they take ten seconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one network may take.

    Attributes
    ----------
    seconds
        Processor time, which does not depend on who else is at work; ten times as long by the clock.
    """

    memory_mib: int = 6 * 1024
    seconds: float = 300.0


@dataclass(slots=True)
class _Running:
    subject: Subject
    process: ForkServerProcess
    answer: Connection
    begun: float


def rows(
    subjects: Sequence[Subject], examine: Callable[[Subject], Row], limits: Limits, jobs: int, until: float
) -> Iterator[Row]:
    """Yield a row for each subject as it is done, in processes of their own; none is begun after `until`.

    Parameters
    ----------
    examine
        Called in the network's process; can be pickled.
    jobs
        Processes at once.
    until
        On the monotonic clock.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [name for name in PRELOADED if find_spec(name.partition(".")[0]) is not None]
    )
    waiting, running = list(reversed(subjects)), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs and time.monotonic() < until:
                running.append(_begun(context, waiting.pop(), examine))
            if not running:
                return
            time.sleep(POLL_S)
            for one in list(running):
                row = _ended(one, limits)
                if row is not None:
                    running.remove(one)
                    yield row
    finally:
        for one in running:
            _end(one)


def _begun(context: Any, subject: Subject, examine: Callable[[Subject], Row]) -> _Running:
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(subject, examine, send), daemon=True)
    process.start()
    send.close()
    return _Running(subject, process, receive, time.monotonic())


def _work(subject: Subject, examine: Callable[[Subject], Row], send: Connection) -> None:
    """Examine a network in this process, and send its row with what it cost."""
    torch = import_module("torch")
    torch.set_num_threads(1)
    gc.freeze()  # what was imported is not looked through at every collection
    # Libraries warn of deprecations and untrained heads; what matters stands in the row.
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    begun, spent = time.monotonic(), time.process_time()
    row = examine(subject)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    send.send(
        replace(row, seconds=time.monotonic() - begun, processor_s=time.process_time() - spent, peak_mib=peak)
    )
    send.close()


def _ended(one: _Running, limits: Limits) -> Row | None:
    """Return the row of a process that is done, was ended or has exceeded a limit; None while it works."""
    elapsed, why = time.monotonic() - one.begun, ""
    if one.answer.poll():
        try:
            row: Row = one.answer.recv()
            _end(one)
            return replace(row, seconds=round(row.seconds, 2), processor_s=round(row.processor_s, 2))
        except EOFError:
            one.process.join()
            why = f"its process ended with exit code {one.process.exitcode}"
    else:
        held_mib, spent_s = _usage(one.process.pid)
        if max(spent_s, elapsed / 10) > limits.seconds:
            why = f"it took more than {limits.seconds:g} s"
        elif held_mib > limits.memory_mib:
            why = f"it needs more than {limits.memory_mib / 1024:g} GiB of memory"
    if not why:
        return None
    _end(one)
    return Row(
        name=one.subject.name,
        library=one.subject.library,
        family=one.subject.family,
        outcome="not reached",
        reason=why,
        seconds=round(elapsed, 2),
    )


def _usage(pid: int | None) -> tuple[int, float]:
    """Return how much memory a process holds, in MiB, and how much processor time it took, in seconds."""
    try:
        process = psutil.Process(pid)
        return int(process.memory_info().rss // MIB), float(sum(process.cpu_times()[:2]))
    except psutil.Error:  # it has just ended
        return 0, 0.0


def _end(one: _Running) -> None:
    if one.process.is_alive():
        one.process.kill()
    one.process.join()
    one.answer.close()
