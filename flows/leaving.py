"""The process of a flow run ends when its work is over, also where Prefect's server never hears of that."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAVE_S: Final = 180.0
"""How long the process of a flow run may take to tell Prefect how it ended.

It sends no signs of life then, so that it is called lost after 150 s (``docker/automations.yaml``): what it told later
would change nothing."""


@contextmanager
def ends_soon_after(seconds: float = LEAVE_S) -> Iterator[None]:
    """End this process some time after the block, if Prefect's worker started it for one flow run.

    When a process exits, Prefect hands over everything that it has not told its server yet, one event after the other,
    each with several tries, and waits for some answers without a limit. Where the server is gone or does not answer,
    the process would stay for many minutes, with nothing to do, and hold its worker's slot.
    """
    try:
        yield
    finally:
        if os.environ.get("PREFECT__FLOW_RUN_ID"):
            threading.Thread(target=_leave_after, args=(seconds,), name="leaving", daemon=True).start()


def _leave_after(seconds: float) -> None:
    time.sleep(seconds)  # a daemon thread goes on while the interpreter waits for other threads at its exit
    with suppress(OSError):  # the worker that read it may be gone
        sys.stderr.write(
            f"Prefect did not take the end of this run within {seconds:.0f} s: the process ends.\n"
        )
    os._exit(1)
