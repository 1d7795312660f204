"""Looks at this machine: cores, memory, threads, GPUs, disks, limits, and what killed processes left behind."""

from __future__ import annotations

import csv
import os
import resource
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stitchpipe.sizes import size_of
from stitchpipe.steps.checkup.check import Look, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.steps.checkup.check import Check

_SUBJECT: Final = "machine"
GIB: Final = 1 << 30
LITTLE_ROOM: Final = 10 * GIB
NO_ROOM: Final = 1 * GIB
"""Bytes on a disk below which there is a warning, and a problem."""
FEW_FILES: Final = 1024
"""Open files that a store's readers and a Dask worker may need together."""
SCRATCH: Final = "stitchpipe-*"
"""What the folders are called that commands make for themselves below the temporary directory."""
_YOUNG_S: Final = 600.0
"""Scratch younger than this may belong to a process that has not opened its first file there yet."""
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def looks_at_machine(folder: Path) -> tuple[Look, ...]:
    """Return the looks at this machine; `folder` is where work is done: its disk is looked at."""
    temporary = Path(tempfile.gettempdir())
    return (
        Look(_SUBJECT, "cores and memory", _cores_and_memory),
        Look(_SUBJECT, "threads", _threads),
        Look(_SUBJECT, "GPU", _gpus),
        Look(_SUBJECT, "working folder", lambda: disk(_SUBJECT, "working folder", folder)),
        Look(_SUBJECT, "temporary folder", lambda: disk(_SUBJECT, "temporary folder", temporary)),
        Look(_SUBJECT, "open files", _open_files),
        Look(_SUBJECT, "scratch", lambda: _scratch(temporary)),
    )


def cores() -> int:
    """Return how many cores this process may use, within its container's share."""
    from dask.system import CPU_COUNT  # noqa: PLC0415 - a fifth of a second

    return int(CPU_COUNT)


def memory_bytes() -> int:
    """Return the memory that this process may use, within its container's share."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # version 2 says "max" where there is no limit
            total = min(total, int(Path(file).read_text("ascii")))
    return total


def gpus() -> list[tuple[str, str]]:
    """Return name and memory of each NVIDIA GPU that its driver shows, without importing torch."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=8, check=True).stdout  # noqa: S603
    return [(row[0].strip(), row[1].strip()) for row in csv.reader(told.splitlines()) if len(row) == 2]


def disk(subject: str, name: str, folder: Path) -> Iterator[Check]:
    """Say how much room there is on the disk of a folder, or of the nearest folder above it that exists."""
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    found = f"{size_of(free)} free at {there}"
    if not os.access(there, os.W_OK):
        yield problem(
            subject, name, f"{there} cannot be written", "Work elsewhere, or have its rights changed."
        )
    elif free < NO_ROOM:
        yield problem(
            subject, name, found, "Make room: `stitchpipe gc` and `stitchpipe evict` show what can go."
        )
    elif free < LITTLE_ROOM:
        yield warning(
            subject, name, found, "Make room before a large dump; `stitchpipe plan` says what it takes."
        )
    else:
        yield ok(subject, name, found)


def _cores_and_memory() -> Iterator[Check]:
    yield ok(_SUBJECT, "cores and memory", f"{cores()} cores, {size_of(memory_bytes())} of memory")


def _threads() -> Iterator[Check]:
    given = {name: os.environ[name] for name in _THREADS if os.environ.get(name)}
    told = ", ".join(f"{name}={value}" for name, value in given.items())
    wrong = [name for name, value in given.items() if not value.isdecimal() or int(value) > cores()]
    if wrong:
        remedy = (
            f"Unset {', '.join(wrong)}, or set 1: worker processes get what the sweep's [run] says anyway."
        )
        yield warning(_SUBJECT, "threads", f"{told} on {cores()} cores", remedy)
    else:
        yield ok(_SUBJECT, "threads", told or "none set: worker processes get what the sweep's [run] says")


def _gpus() -> Iterator[Check]:
    there = gpus()
    told = ", ".join(f"{name} with {memory}" for name, memory in there)
    yield ok(_SUBJECT, "GPU", told or "none that a driver shows; everything runs on the CPU too")


def _open_files() -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{soft} at a time, of {hard} that may be asked for"
    if soft != resource.RLIM_INFINITY and soft < FEW_FILES:
        yield warning(
            _SUBJECT, "open files", found, f"Set `ulimit -n {4 * FEW_FILES}` before large comparisons."
        )
    else:
        yield ok(_SUBJECT, "open files", found)


def _scratch(temporary: Path) -> Iterator[Check]:
    """Look for scratch of dead processes: old, this user's, and no process has a file open in it."""
    limit_s = time.time() - _YOUNG_S
    old = [
        folder
        for folder in temporary.glob(SCRATCH)
        if folder.is_dir() and folder.owner() == _user() and folder.stat().st_mtime < limit_s
    ]
    left = sorted(set(old) - _in_use(old)) if old else []
    if not left:
        yield ok(_SUBJECT, "scratch", f"none left behind in {temporary}")
        return
    size = size_of(
        sum(file.stat().st_size for folder in left for file in folder.rglob("*") if file.is_file())
    )
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    found = f"{len(left)} folders of processes that are gone, {size}: {', '.join(map(str, left[:3]))}{more}"
    yield warning(_SUBJECT, "scratch", found, "Remove them; nothing reads them.")


def _user() -> str:
    return Path("/proc/self").owner() if Path("/proc/self").exists() else Path.home().owner()


def _in_use(folders: list[Path]) -> set[Path]:
    """Return the folders that some process works in or has a file open in; all where that cannot be known."""
    if not Path("/proc/self/fd").exists():
        return set(folders)
    used = set()
    for link in (*Path("/proc").glob("[0-9]*/fd/*"), *Path("/proc").glob("[0-9]*/cwd")):
        with suppress(OSError):  # a process that ended meanwhile, or another user's
            target = link.readlink()
            used |= {folder for folder in folders if target.is_relative_to(folder)}
    return used
