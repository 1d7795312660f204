"""Sweeps of Python objects: networks and images that a process has at hand become a declaration, and are run in it.

Importing this room is cheap: torch is imported by the first sweep.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.declaring.in_this_process import run
    from stitchpipe.declaring.planned import Plan, plan

__all__ = ["Plan", "plan", "run"]

_HOMES = {"planned": ("Plan", "plan"), "in_this_process": ("run",)}
__getattr__ = on_first_use(__name__, _HOMES)
