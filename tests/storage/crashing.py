"""Processes that die between any two operations of the file system; shared by the tests of the store."""

from __future__ import annotations

import os

# What changes the disk in a way that survives the process. Flushes do not: power loss is another matter.
OPERATIONS = ("makedirs", "write", "link", "unlink", "rename", "rmdir")


class Crash(BaseException):
    """The process is gone: no handler of ours may run to any effect."""


class Crashing:
    """Lets `after` operations happen, then dies: before the next one, or in the middle of a write."""

    def __init__(self, monkeypatch, *, after, torn=False):
        self.left, self.torn, self.dead, self.count = after, torn, False, 0
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name, original):
        def operation(*arguments, **keywords):
            if self.dead:
                raise Crash
            if self.left == 0:
                self.dead = True
                if self.torn and name == "write":
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise Crash
            self.left -= 1
            self.count += 1
            return original(*arguments, **keywords)

        return operation


def crash_in(monkeypatch, act, *, after, torn=False):
    """Run `act` until it crashes; return the number of operations that happened, and whether it finished."""
    with monkeypatch.context() as patched:
        crashing = Crashing(patched, after=after, torn=torn)
        try:
            act()
        except Crash:
            return crashing.count, False
        return crashing.count, True
