"""A folder for the logs of worker processes, which a later run removes where this one is killed."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

PREFIX: Final = "stitchpipe-workers-"
LOCK: Final = "lock"
FRESH_S: Final = 60.0
"""A folder that is younger may be one whose process has not locked it yet."""


class LogFolder:
    """A temporary folder that is this process's as long as it lives, whichever way it ends.

    Making one removes those of processes that were killed. The system gives a process's locks back when it ends, so a
    folder is abandoned when its lock can be had.

    Attributes
    ----------
    path
        Where it lies, among the machine's temporary files.
    """

    def __init__(self) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()))
        self._folder = tempfile.TemporaryDirectory(prefix=PREFIX)
        self.path = Path(self._folder.name)
        self._lock = (self.path / LOCK).open("ab")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove it with all that lies in it. Idempotent."""
        self._folder.cleanup()
        self._lock.close()


def _remove_abandoned(temporary: Path) -> None:
    """Remove the folders of processes that have ended; those of other users, and those that vanish, are passed over."""
    for folder in temporary.glob(f"{PREFIX}*"):
        try:
            if time.time() - (folder / LOCK).stat().st_mtime < FRESH_S:
                continue
            with (folder / LOCK).open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
