"""How the tests are dealt to several processes, and what these took."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest

ONE_SERVER = "tests/flows/"
"""Tests below here share one Prefect server, and so one process."""


class ByFile(LoadScopeScheduling):
    """A file goes to one process, in the order of collection: what a module's fixtures make is made once."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False  # by number of tests, which says nothing of the time they take
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return ONE_SERVER if nodeid.startswith(ONE_SERVER) else nodeid.partition("::")[0]


def taken() -> tuple[float, int]:
    """Return the processor seconds of this process and its children that ended, and its own largest memory in bytes."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in (own, children)), own.ru_maxrss * 1024
