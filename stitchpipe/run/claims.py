"""Who works on what: claims on units of work, which make several runs of one sweep share it instead of repeating it.

A claim is a record that names a worker, changed by compare-and-swap, in the run's place. A worker gives a sign of life
as long as it has claims. Where its signs have stopped for a lease by the clock of the place, or its process is gone
from this machine, its claims are anybody's.

Claims save work and decide nothing: everything that is kept is written once, under its digest. If two workers did the
same unit, because one was taken for dead, both would write the same.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from stitchpipe.run.names import unit_record
from storage import StoreError, WriteError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage import CheckedFiles

LEASE_S: Final = 60.0
"""How long after its last sign of life a worker is taken for lost."""
_BEATS: Final = 4
"""Signs of life in a lease: so many must fail one after the other before a living worker is taken for lost."""
_CLAIMS: Final = "claims"


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that works on a run.

    Attributes
    ----------
    name
        Unlike that of any other process, ever.
    host, pid
        Where it runs.
    birth
        What tells it from another process of the same number on the same system: the system's start, the namespace of
        process numbers and the process's own start; empty where the system does not say.
    """

    name: str
    host: str
    pid: int
    birth: str

    @classmethod
    def here(cls) -> Self:
        """Return this process as a new worker."""
        host, pid = socket.gethostname(), os.getpid()
        return cls(f"{host}-{pid}-{uuid.uuid4().hex[:8]}", host, pid, _birth(pid))

    def is_gone(self) -> bool:
        """Whether it certainly ended: it ran on this system, and no process of its number is the one that it was.

        False where that cannot be known from here.
        """
        kernel = _kernel()
        if not self.birth or not kernel or not self.birth.startswith(kernel):
            return False
        return _birth(self.pid) != self.birth


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a claim.

    Attributes
    ----------
    since_s
        Since when, in seconds since the epoch by the holder's clock.
    lives
        Whether there is life in it.
    progress
        How much of the work was done and how much there is, as the last sign of life had it; None where it did not say.
    """

    worker: Worker
    since_s: float
    lives: bool
    progress: tuple[int, int] | None = None

    def whole_s(self, now_s: float) -> float | None:
        """Return how long the unit takes in all, at its pace so far; None where nothing says how far it is."""
        done, total = self.progress or (0, 0)
        return max(0.0, now_s - self.since_s) * total / done if done else None


class Claims:
    """The claims of one process on the units of a run: taken, held by signs of life, given back.

    A context manager; at its end all that is held is given back. Threads may share it.

    Parameters
    ----------
    files
        The run's files.
    lease_s
        How long after a worker's last sign of life its claims are its own. Whoever shares a run must have the same.
    """

    def __init__(self, files: CheckedFiles, *, lease_s: float = LEASE_S) -> None:
        self.worker = Worker.here()
        self._files, self._lease_s = files, lease_s
        self._held: set[str] = set()
        self._progress: dict[str, tuple[int, int]] = {}
        self._owed: set[str] = set()  # given up, but the place does not know it yet
        self._replaced: dict[str, Mapping[str, Any] | None] = {}  # what stood there before our claim
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._beating: threading.Thread | None = None

    def take(self, name: str) -> Holder | None:
        """Claim a unit; return None if it is ours now, or else who has it and lives.

        Errors as `storage.CheckedFiles.update_record`. Two requests where nobody has it; a listing and a small file
        more where somebody has.
        """
        self._live()
        holder: Holder | None = None

        def claimed(before: Mapping[str, Any] | None) -> Mapping[str, Any]:
            nonlocal holder
            holder = self._holder(before)
            if before is not None and holder is not None and holder.lives:
                return before  # nothing changes, and nothing is written
            self._replaced[name] = before
            return {"unit": name, "worker": asdict(self.worker), "since_s": time.time()}

        self._files.update_record(unit_record(_CLAIMS, name), claimed)
        if holder is not None and holder.lives and holder.worker != self.worker:
            return holder
        with self._lock:
            self._held.add(name)
            self._owed.discard(name)
        return None

    def give_back(self, name: str) -> None:
        """Give up a claim; nothing where it is not ours, or was taken from us.

        Where the place refuses, it is given up with a later sign of life: others would wait for it as long as we live.
        """
        with self._lock:
            self._held.discard(name)
            self._progress.pop(name, None)
            self._owed.add(name)
        self._free(name)

    def note(self, name: str, done: int, total: int) -> None:
        """Let the next sign of life say how far a unit is that we hold."""
        with self._lock:
            self._progress[name] = done, total

    def _free(self, name: str) -> None:
        def freed(before: Mapping[str, Any] | None) -> Mapping[str, Any]:
            is_ours = before is not None and (before["worker"] or {}).get("name") == self.worker.name
            # A listing that lags behind shows what we replaced: to write behind that fails, and is tried on the truth.
            is_late = before is not None and before == self._replaced.get(name)
            if before is not None and (not (is_ours or is_late) or name in self._held):
                return before
            return {"unit": name, "worker": None, "since_s": 0.0}

        self._files.update_record(unit_record(_CLAIMS, name), freed)
        with self._lock:
            self._owed.discard(name)

    def held(self) -> dict[str, Holder]:
        """Return who has which unit, the lost among them, and how far they are.

        One read for each unit that was ever claimed, and for each worker that lives.

        Where the place cannot be written, this machine's clock stands in for the place's.
        """
        signs = self._signs()
        records = self._files.records(_CLAIMS).values()
        holders = {str(record["unit"]): self._holder(record, signs) for record in records}
        if self._beating is None:
            with suppress(StoreError):
                self._files.stop_sign(self.worker.name)  # it was given to read the clock of the place
        alive = {holder.worker.name for holder in holders.values() if holder is not None and holder.lives}
        said = {worker: self._files.said(worker).get("progress", {}) for worker in alive}
        return {
            name: replace(holder, progress=_progress(said.get(holder.worker.name, {}).get(name)))
            for name, holder in holders.items()
            if holder is not None
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back all that is held, and give no more signs of life. Idempotent."""
        for name in sorted(self._held | self._owed):
            with suppress(StoreError):  # nobody to tell; the claim lapses with our signs of life
                self.give_back(name)
        self._ended.set()
        if self._beating is not None:
            self._beating.join()
            self._beating = None
            with suppress(StoreError):
                self._files.stop_sign(self.worker.name)

    def _holder(
        self, record: Mapping[str, Any] | None, signs: Mapping[str, float] | None = None
    ) -> Holder | None:
        if record is None or record["worker"] is None:
            return None
        worker = Worker(**record["worker"])
        lives = worker == self.worker or (not worker.is_gone() and self._gave_sign(worker, signs))
        return Holder(worker, float(record["since_s"]), lives)

    def _gave_sign(self, worker: Worker, signs: Mapping[str, float] | None) -> bool:
        """Whether a worker's last sign is younger than a lease, by the time of a sign of ours in the same place."""
        signs = signs or self._signs()
        given_s, now_s = signs.get(worker.name), signs.get(self.worker.name)
        if now_s is None:  # a listing that lags behind: it tells of nobody's end
            return True
        # A sign from the future was given under a clock that was set back since: it says nothing of now.
        return given_s is not None and abs(now_s - given_s) <= self._lease_s

    def _signs(self) -> dict[str, float]:
        """Return when each worker gave its last sign of life; our own is the time by the clock of the place."""
        try:
            self._give_sign()
        except WriteError:
            return {**self._files.signs(), self.worker.name: time.time()}
        return self._files.signs()

    def _give_sign(self) -> None:
        self._files.give_sign(self.worker.name, {"progress": dict(self._progress)})

    def _live(self) -> None:
        """Begin to give signs of life, if this is the first claim."""
        with self._lock:
            if self._beating is None:
                self._give_sign()
                self._beating = threading.Thread(target=self._beat, name="signs of life", daemon=True)
                self._beating.start()

    def _beat(self) -> None:
        while not self._ended.wait(self._lease_s / _BEATS):
            with suppress(StoreError):  # a place that does not answer now may do so at the next beat
                self._give_sign()
                for name in sorted(self._owed):
                    self._free(name)


def _progress(said: Any) -> tuple[int, int] | None:
    """Return what a sign of life says of a unit; None for anything else than two whole numbers."""
    match said:
        case [int(done), int(total)] if 0 <= done <= total:
            return done, total
        case _:
            return None


@cache
def _kernel() -> str:
    """Return what names this system and its namespace of process numbers; empty where it does not say (not Linux)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()} "
    except OSError:
        return ""


def _birth(pid: int) -> str:
    """Return what tells a running process of this system from all others; empty where there is none, or no telling."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    # Behind the name in parentheses, which may hold anything, come the state (third field) and, as the 22nd field, the
    # start in ticks of the clock since the system's.
    state, *fields = told.rpartition(")")[2].split()
    return "" if state in "ZX" or not _kernel() else f"{_kernel()}{fields[18]}"
