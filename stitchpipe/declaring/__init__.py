"""Sweeps of Python objects: networks and images that a process has at hand become a declaration, and are run in it.

Importing this room is cheap: torch is imported by the first sweep.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stitchpipe.declaring.in_this_process import run
    from stitchpipe.declaring.planned import Plan, plan

__all__ = ["Plan", "plan", "run"]

_HOMES = {"Plan": "planned", "plan": "planned", "run": "in_this_process"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stitchpipe.declaring' has no attribute {name!r}")
    return getattr(import_module(f"stitchpipe.declaring.{_HOMES[name]}"), name)
