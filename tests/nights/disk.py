"""The disk of one machine: real files in memory, under functions of `os` that fail, stop and forget as a night wants.

`LocalPlace` itself is the code under test: its unfinished files, flushes, links and renames. Every call is an operation
of the world. A power cut ends all processes and leaves what was flushed; of everything else, whoever wrote it and
however, it leaves any mixture (`tests.storage.power_loss`). And whatever the place says to be durable is held against
what the disk would still know, at the moment when it is said.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import storage.place.durability
import storage.place.local
import storage.place.staging
from storage import digest_of
from storage.place.local import LocalPlace
from tests.nights.world import EPOCH_S
from tests.storage import power_loss
from tests.storage.crashing import Crash
from tests.storage.test_faults_damage import as_a_new_process

MODULES = (storage.place.durability, storage.place.local, storage.place.staging)
PREFIX = "night-of-"
"""Folders of nights are called by this and the process whose they are: so the next one knows those that nobody has."""
WORK = "/commits/summaries/work/"


MEMORY = Path("/dev/shm")
HOME = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())


@cache
def home_of_nights(home=HOME):
    """Return where the folders of nights lie, without those of processes that were killed."""
    for path in home.glob(f"{PREFIX}*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not is_alive(int(owner)):
            shutil.rmtree(path, ignore_errors=True)
    return home


def is_alive(pid):
    """Whether there is a process of this number, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Disk:
    """A folder in memory, and what of it would survive.

    Attributes
    ----------
    url
        Where the run lies.
    broken
        What the place said to be durable and was not.
    """

    def __init__(self, world, weather):
        self.world, self.weather, self.broken = world, weather, []
        self._home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=home_of_nights())).resolve()
        self._root = self._home / "disk"
        self._root.mkdir()
        self.url = str(self._root / "run")
        self._paths = {}
        self._all_is_durable()

    def install(self, patch):
        """Stand in for `os` in the modules of the local place."""
        for module in MODULES:
            patch.setattr(module, "os", self)
        for name in ("create", "make_durable"):
            patch.setattr(LocalPlace, name, self._held_to_its_word(getattr(LocalPlace, name)))

    def end(self):
        shutil.rmtree(self._home)

    def has(self, key):
        return os.path.lexists(f"{self.url}/{key}")

    def digests(self, folder):
        """Return the digest of every file below a folder of the run, by key."""
        paths = [path for path in Path(self.url, folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.url)): digest_of(path.read_bytes().hex()) for path in paths}

    def take_away(self, key):
        Path(self.url, key).unlink()

    def __getattr__(self, name):
        """Return what is no operation here as the system has it."""
        return getattr(os, name)

    def open(self, path, flags, mode=0o777):
        is_new = bool(flags & os.O_CREAT)

        def act():
            descriptor = os.open(path, flags, mode)
            self._paths[descriptor] = str(path)
            if is_new:
                self._kept.contents.pop(os.fstat(descriptor).st_ino, None)
                self._touch(descriptor)
            return descriptor

        return self._operate("open", path, act, grows=is_new)

    def write(self, descriptor, data):
        def act(n_bytes=None):
            written = os.write(descriptor, data if n_bytes is None else data[:n_bytes])
            self._touch(descriptor)
            return written

        half = len(data) // 2
        return self._operate("write", self._paths[descriptor], act, grows=True, partly=lambda: act(half))

    def fsync(self, descriptor):
        self.world.pause(self.weather.wait_for_flush_s())
        return self._operate("fsync", self._paths[descriptor], lambda: self._kept.flush(descriptor))

    def link(self, source, target):
        if WORK in str(target):
            self.weather.work_is_left()
        return self._operate("link", target, lambda: os.link(source, target), grows=True)

    def rename(self, source, target):
        return self._operate("rename", target, lambda: os.rename(source, target))  # noqa: PTH104

    def unlink(self, path):
        return self._operate("unlink", path, lambda: os.unlink(path))  # noqa: PTH108

    def rmdir(self, path):
        return self._operate("rmdir", path, lambda: os.rmdir(path))  # noqa: PTH106

    def makedirs(self, path, *, exist_ok):
        return self._operate("makedirs", path, lambda: os.makedirs(path, exist_ok=exist_ok), grows=True)  # noqa: PTH103

    def scandir(self, path):
        return self._operate("list", path, lambda: os.scandir(path))

    def walk(self, path):
        return self._operate("list", path, lambda: os.walk(path))

    def stat(self, path, *, follow_symlinks):
        return self._operate("stat", path, lambda: os.stat(path, follow_symlinks=follow_symlinks))  # noqa: PTH116

    def _operate(self, kind, path, act, *, grows=False, partly=None):
        world, weather = self.world, self.weather
        if world.current is None:
            return act()
        world.pause(weather.latency_s() / 10)
        process = world.current.process
        process.operations += 1
        fault = weather.fault(process, world.now_s)
        world.log.append((world.now_s, process.name, f"{kind} {fault}".rstrip(), self._key(path)))
        match fault:
            case "":
                return act()
            case "503":
                if kind == "fsync":
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                if partly is not None and weather.is_partly():
                    return partly()
                if grows:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return act()
            case "power cut":
                if weather.is_partly():
                    with suppress(OSError):
                        act()
                self._cut()
                raise Crash
            case "killed before" | "run killed before":
                pass
            case _:  # killed after, or in the middle
                with suppress(OSError):
                    act() if partly is None or not weather.is_partly() else partly()
        world.kill(process.root if fault.startswith("run") else process)
        raise Crash

    def _key(self, path):
        return str(path).removeprefix(str(self._home)).removeprefix("/disk/run").removeprefix("/")

    def _held_to_its_word(self, act):
        """Return a function of a place that looks behind it whether the file that it names would survive."""

        def acted(place, key, *arguments):
            answer = act(place, key, *arguments)
            path = Path(place.path(key))
            if path.exists() and not self._is_durable(path):
                self.broken.append(
                    f"{act.__name__} of {self._key(path)} let go of a file that was not durable"
                )
            return answer

        return acted

    def _is_durable(self, path):
        """Whether the bytes of a file, and its name in every folder above, would be there after a power cut."""
        return path.stat().st_ino in self._kept.contents and all(
            self._kept.names.get(str(above.parent), {}).get(above.name) == above.stat().st_ino
            for above in (path, *path.parents)
            if above.is_relative_to(self._root) and above != self._root
        )

    def _touch(self, descriptor):
        """Give a file the time of the machine that wrote it, which no real clock knows."""
        at_ns = self._time_ns()
        os.utime(descriptor, ns=(at_ns, at_ns))

    def _time_ns(self):
        skew_s = 0.0 if self.world.current is None else self.world.current.process.skew_s
        return int((EPOCH_S + self.world.now_s + skew_s) * 1e9)

    def _cut(self):
        """End every process that has begun, and put in place of the files what a machine finds when it is on again."""
        for process in self.world.processes:
            if process.has_begun:
                self.world.kill(process)
        after = self._kept.cut_into(self._home / "after", self.weather.random)
        for path in after.rglob("*"):
            before = self._root / path.relative_to(after)
            at_ns = before.stat().st_mtime_ns if before.is_file() else self._time_ns()
            os.utime(path, ns=(at_ns, at_ns))
        shutil.rmtree(self._root)
        after.rename(self._root)
        self._all_is_durable()
        as_a_new_process()

    def _all_is_durable(self):
        self._kept = power_loss.Disk(self._root)
        for folder, _, names in os.walk(self._root):
            self._kept.names[folder] = {entry.name: entry.inode() for entry in os.scandir(folder)}
            for name in names:
                path = Path(folder, name)
                self._kept.contents[path.stat().st_ino] = path.read_bytes()
