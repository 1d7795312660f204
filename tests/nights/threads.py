"""Locks, conditions, events and threads of simulated processes, and what each of them remembers."""

from __future__ import annotations


class Lock:
    def __init__(self, world):
        self._world, self.is_held = world, False

    def __enter__(self):
        if self.is_held:
            self._world.wait(lambda: not self.is_held)
        self.is_held = True

    def __exit__(self, *_):
        self.is_held = False


class Condition(Lock):
    def __init__(self, world):
        super().__init__(world)
        self.calls = 0

    def notify(self):
        self.calls += 1

    notify_all = notify

    def wait(self, timeout=None):
        before, self.is_held = self.calls, False
        self._world.wait(lambda: self.calls > before, timeout)
        self.__enter__()


class Event:
    def __init__(self, world):
        self._world, self._is_set = world, False

    def set(self):
        self._is_set = True

    def is_set(self):
        return self._is_set

    def wait(self, timeout=None):
        return self._world.wait(lambda: self._is_set, timeout)


class Thread:
    def __init__(self, world, *, target, args=(), name="", daemon=False):
        self._world, self._act = world, lambda: target(*args)

    def start(self):
        self._thread = self._world.start(self._world.current.process, self._act)

    def join(self):
        self._world.wait(lambda: self._thread.ended)


class OneByOne:
    """Stands in for a pool of threads that read side by side."""

    def __init__(self, n):
        self.map = map

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class OwnMemory:
    """Stands in for a dictionary of a module: every simulated process has its own."""

    def __init__(self, world):
        self._world, self._memories = world, {}

    def _own(self):
        current = self._world.current
        return self._memories.setdefault(None if current is None else current.process.pid, {})

    def get(self, key):
        return self._own().get(key)

    def __contains__(self, key):
        return key in self._own()

    def __getitem__(self, key):
        return self._own()[key]

    def __setitem__(self, key, value):
        self._own()[key] = value
