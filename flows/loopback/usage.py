"""What each part of a deployment takes while it is watched: processor time, memory, and Prefect's share of it."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

#: Seconds between two samples. What a process used after its last sample is not seen.
_SAMPLE_S: Final = 1.0

#: A part of the deployment -> words that stand in the command lines of its processes. What fits none belongs to the
#: part of the process that started it.
_PARTS: Final = {
    "units": ("-m flows.worker ",),
    "S3 server": ("weed server", "moto.server"),
    "Dask": ("-m dask ",),
    "Prefect's server": ("server start", "create_app"),
    "Prefect's workers": ("worker start",),
    "flow runs": ("flow-run", "flow_run", "prefect"),
}

#: The parts that are there because of Prefect. A flow run's own process hands units on and calculates nothing.
_PREFECT: Final = ("Prefect's server", "Prefect's workers", "flow runs")


@dataclass(frozen=True)
class PartUsage:
    """What the processes of one part took: processor seconds together, and the memory of the largest in MiB."""

    processor_s: float
    largest_mib: int


class Usage:
    """Samples all processes below this one, once a second, for as long as the block lasts."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)
        self._spent: dict[tuple[int, float], tuple[str, float]] = {}
        self._largest: dict[str, int] = defaultdict(int)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def parts(self) -> dict[str, PartUsage]:
        """Return what each part has taken so far, those that took nothing left out."""
        spent: dict[str, float] = defaultdict(float)
        for part, seconds in list(self._spent.values()):
            spent[part] += seconds
        return {
            part: PartUsage(round(seconds, 1), self._largest[part]) for part, seconds in sorted(spent.items())
        }

    def _sample(self) -> None:
        this = psutil.Process(os.getpid())
        while not self._ended.wait(_SAMPLE_S):
            parts: dict[int, str] = {}
            for process in sorted(this.children(recursive=True), key=psutil.Process.create_time):
                try:
                    with process.oneshot():
                        part = part_of(process.cmdline()) or parts.get(process.ppid(), "others")
                        parts[process.pid] = part
                        times, rss_mib = process.cpu_times(), process.memory_info().rss // 2**20
                        self._spent[process.pid, process.create_time()] = (part, times.user + times.system)
                        self._largest[part] = max(self._largest[part], rss_mib)
                except psutil.Error:  # it has just ended
                    continue


def part_of(command: Sequence[str]) -> str:
    """Return the part of a deployment that a process belongs to by its command line; empty where that does not tell."""
    line = " ".join((*command, ""))
    return next((part for part, words in _PARTS.items() if any(word in line for word in words)), "")


def prefects_share(parts: Mapping[str, PartUsage]) -> float:
    """Return Prefect's part of the processor time of everything but the S3 server, which stands for a service."""
    spent = {part: usage.processor_s for part, usage in parts.items() if part != "S3 server"}
    total = sum(spent.values())
    return sum(spent.get(part, 0.0) for part in _PREFECT) / total if total else 0.0
