"""Simulated machines: processes on a virtual clock, whose threads run one at a time in an order that a seed draws.

A thread of a simulated process is a thread of this one. It runs until it waits: for the clock (`World.pause`, which
every operation on the place calls), or for a condition (`World.wait`). Whoever is due first goes on. So nothing here
takes the time that it says it takes, and the same seed gives the same order of operations.
"""

from __future__ import annotations

import random
import threading
import uuid
from math import inf

from tests.storage.crashing import Crash

EPOCH_S = 1_700_000_000.0
KILLED = -9


class Process:
    """A simulated process: it ends with its first thread, and when it is killed every thread ends where it waits."""

    def __init__(self, name, pid, host, *, parent=None, skew_s=0.0, slowness=1.0):
        self.name, self.pid, self.host, self.parent = name, pid, host, parent
        self.skew_s, self.slowness = skew_s, slowness
        self.children, self.status, self.frozen_until_s, self.operations = [], None, 0.0, 0
        self.has_begun = False
        if parent is not None:
            parent.children.append(self)

    @property
    def is_alive(self):
        return self.status is None

    @property
    def root(self):
        return self if self.parent is None else self.parent.root


class Thread:
    """A thread of a simulated process; `until` is what it waits for, besides the clock."""

    def __init__(self, process, target, number, *, is_main):
        self.process, self.target, self.number, self.is_main = process, target, number, is_main
        self.turn, self.due_s, self.until, self.ended = threading.Lock(), 0.0, None, False
        self.turn.acquire()

    def due(self, now_s):
        if not self.process.is_alive:
            return now_s
        ready_s = now_s if self.until is not None and self.until() else self.due_s
        return max(ready_s, self.process.frozen_until_s)


class World:
    """The clock, the processes and the order of what they do."""

    def __init__(self, seed, *, limit_s=8_000.0):
        self.random = random.Random(f"order {seed}")
        self.now_s, self.limit_s = 0.0, limit_s
        self.current, self.processes, self.threads = None, [], []
        self.errors, self.log, self.computing, self.computed = [], [], {}, []
        self.redone, self.overlaps, self.written, self._threads_begun = 0, 0, set(), 0
        self._over = threading.Lock()

    def process(self, name, host, **about):
        process = Process(name, 100 + len(self.processes), host, **about)
        self.processes.append(process)
        return process

    def start(self, process, target, *, is_main=False, after_s=0.0):
        """Begin a thread of a process; it runs when its turn comes."""
        self._threads_begun += 1
        thread = Thread(process, target, self._threads_begun, is_main=is_main)
        thread.due_s = self.now_s + after_s
        self.threads.append(thread)
        threading.Thread(target=self._body, args=(thread,), daemon=True).start()
        return thread

    def run(self):
        """Let everything happen, until every thread has ended."""
        self._over.acquire()
        self._hand_on(None)
        with self._over:
            self.current = None
        self._over = threading.Lock()

    def pause(self, seconds):
        """Let virtual time pass in the current thread."""
        self.wait(None, seconds)

    def wait(self, until, timeout_s=None):
        """Wait in the current thread until a condition holds; return whether it does."""
        me = self.current
        if me is None:  # the judge, outside of all processes
            return until is None or until()
        if not me.process.is_alive:
            raise Crash
        me.until, me.due_s = until, inf if timeout_s is None else self.now_s + timeout_s
        self._hand_on(me)
        if not me.process.is_alive:
            raise Crash
        return until is None or until()

    def kill(self, process, status=KILLED):
        """End a process and those that it started."""
        if process.is_alive:
            process.status = status
            for child in process.children:
                self.kill(child)

    def token(self):
        return uuid.UUID(int=self.random.getrandbits(128))

    def note(self, what, key=""):
        who = "" if self.current is None else self.current.process.name
        self.log.append((self.now_s, who, what, key))

    def _body(self, thread):
        thread.turn.acquire()
        try:
            if thread.process.is_alive:
                thread.process.has_begun = True
                thread.target()
        except Crash:
            pass
        except BaseException as error:  # noqa: BLE001 - the night says so
            if thread.process.is_alive:
                self.errors.append(error)
        if thread.is_main:
            self.kill(thread.process, 0)
        thread.ended = True
        self.threads.remove(thread)
        self._hand_on(thread)

    def _hand_on(self, me):
        """Give the turn to whoever is due first, and wait for one's own."""
        following = self._following()
        if following is me and me is not None:
            me.until = None
            return
        if following is None:
            self._over.release()
            return
        self.current = following
        following.turn.release()
        if me is not None and not me.ended:
            me.turn.acquire()
            me.until = None

    def _following(self):
        if not self.threads:
            return None
        due_s, _, chosen = min((thread.due(self.now_s), thread.number, thread) for thread in self.threads)
        if due_s > self.limit_s:
            waits = ", ".join(sorted({thread.process.name for thread in self.threads}))
            self.errors.append(TimeoutError(f"no end by {self.limit_s:.0f} s; there are still {waits}"))
            for process in self.processes:
                self.kill(process)
            return self._following()
        self.now_s = max(self.now_s, due_s)
        self.current = chosen
        return chosen
