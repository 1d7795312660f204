"""What stands in for the machine below the code under test: the one spot where names are replaced.

In every module of `storage`, `stitchpipe` and `flows` the modules `time`, `threading`, `uuid` and `random` are those of
a `World`; what the place asks of its bucket or disk goes to a `Bucket` or `Disk` of this package; and what a pool asks
of the operating system (a pipe, a process) goes to simulated ones. All else is the code as it is.
"""

from __future__ import annotations

import random
import sys
import threading
import time
import uuid
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import flows.course
import flows.pool
import flows.worker_process
import storage.checked_files.files
import storage.checked_files.sound
from stitchpipe.results import part_files
from stitchpipe.run import claims, settled
from stitchpipe.steps.claimed import Claimant
from tests.nights.threads import Condition, Event, Lock, OneByOne, OwnMemory, Thread
from tests.nights.world import EPOCH_S, KILLED
from tests.storage.test_faults_damage import as_a_new_process

ROOMS = ("storage", "stitchpipe", "flows")


def clock_of(world):
    def skew_s():
        return 0.0 if world.current is None else world.current.process.skew_s

    def time_s():
        return EPOCH_S + world.now_s + skew_s()

    return SimpleNamespace(
        time=time_s,
        time_ns=lambda: int(time_s() * 1e9),
        monotonic=lambda: world.now_s,
        perf_counter=lambda: world.now_s,
        sleep=world.pause,
    )


class Connection:
    """One end of a pipe between two simulated processes."""

    def __init__(self, world):
        self.world, self.arrived, self.other, self.process = world, [], None, None
        self.is_closed = False

    def fileno(self):
        return self  # handed to the process that is started, which has it for its own

    def close(self):
        self.is_closed = True

    def is_broken(self):
        there = self.other
        return there.is_closed or (there.process is not None and not there.process.is_alive)

    def send(self, content):
        if self.is_broken():
            raise BrokenPipeError
        self.other.arrived.append(content)

    def poll(self, timeout_s):
        return self.world.wait(lambda: self.arrived or self.is_broken(), timeout_s)

    def recv(self):
        self.world.wait(lambda: self.arrived or self.is_broken())
        if not self.arrived:
            raise EOFError
        return self.arrived.pop(0)


class WorkerOnPipe:
    """Stands in for `flows.processes.OwnedProcess` and, in it, for `flows.worker.serve` without its logs."""

    def __init__(self, world, started, work, connection):
        self.world, parent = world, world.current.process
        number = len(parent.children)
        self.process = world.process(
            f"{parent.name}/{number}",
            parent.host,
            parent=parent,
            skew_s=parent.skew_s,
            slowness=world.random.choice((0.5, 1.0, 1.0, 4.0)),
        )
        self.pid, theirs = self.process.pid, connection
        theirs.process = self.process
        started(self.process)

        def serve():
            with Claimant(work) as claimant:
                while True:
                    try:
                        unit = theirs.recv()
                        begun = lambda key: theirs.send(("begun", key))  # noqa: E731
                        report = lambda done, of: theirs.send(("progress", (done, of)))  # noqa: E731
                        theirs.send(claimant.carry_out(unit, report, begun))
                    except (EOFError, BrokenPipeError):
                        return

        world.start(self.process, serve, is_main=True, after_s=0.2)

    def wait(self, timeout_s):
        self.world.wait(lambda: not self.process.is_alive, timeout_s)
        return self.process.status

    def log_tail(self):
        return ""

    def stop(self, grace_s):
        self.wait(grace_s)
        self.world.kill(self.process, KILLED)


def install(patch, world, medium, work, started):
    """Put all of it in place; `patch` undoes it."""
    as_a_new_process()
    threads = {each.__name__: partial(each, world) for each in (Lock, Condition, Event, Thread)}
    pairs = (
        (time, clock_of(world)),
        (threading, SimpleNamespace(**threads)),
        (uuid, SimpleNamespace(uuid4=world.token)),
        (random, world.random),
    )
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ROOMS:
            for real, ours in pairs:
                if getattr(module, real.__name__, None) is real:
                    patch.setattr(module, real.__name__, ours)
    medium.install(patch)
    patch.setattr(storage.checked_files.sound, "_sound", OwnMemory(world))
    patch.setattr(part_files, "_columns", OwnMemory(world))
    patch.setattr(storage.checked_files.files, "ThreadPoolExecutor", OneByOne)

    here = lambda: world.current.process  # noqa: E731
    patch.setattr(claims, "os", SimpleNamespace(getpid=lambda: here().pid))
    patch.setattr(claims, "socket", SimpleNamespace(gethostname=lambda: here().host))
    patch.setattr(claims, "_kernel", lambda: here().host)

    def birth(pid):
        alive = {
            process.pid for process in world.processes if process.is_alive and process.host == here().host
        }
        return f"{here().host} {pid}" if pid in alive else ""

    patch.setattr(claims, "_birth", birth)
    for name in ("sweep_stamp", "declared_toml"):
        patch.setattr(settled, name, lambda sweep: "one sweep")
    patch.setattr(settled, "versions", dict)
    patch.setattr(settled, "_code", lambda: "")

    def pipe():
        ours, theirs = Connection(world), Connection(world)
        ours.other, theirs.other, ours.process = theirs, ours, world.current.process
        return ours, _Handed(theirs)

    def owned(name, command, *, env, log, pass_fds):
        return WorkerOnPipe(world, started, work, pass_fds[0])

    patch.setattr(flows.worker_process, "Pipe", pipe)
    patch.setattr(flows.worker_process, "OwnedProcess", owned)
    patch.setattr(flows.worker_process, "_POLL_S", 5.0)
    patch.setattr(flows.pool, "LogFolder", _NoLogs)

    def first_completed(futures, return_when):
        world.wait(lambda: any(future.done() for future in futures))
        return [future for future in futures if future.done()], ()

    patch.setattr(flows.course, "wait", first_completed)


class _Handed:
    """A worker's end of a pipe in the hands of its parent, which closes its own copy alone."""

    def __init__(self, connection):
        self._connection = connection

    def fileno(self):
        return self._connection

    def close(self):
        pass


class _NoLogs:
    path = Path("logs")

    def remove(self):
        pass
