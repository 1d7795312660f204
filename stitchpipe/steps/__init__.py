"""A run's steps, each one function of a run and a unit of work: what flows schedule and the command line runs.

Importing this room is cheap: a step is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stitchpipe.steps.comparing import cluster_of, compare, fit_maps
    from stitchpipe.steps.dumping import dump, parse_part
    from stitchpipe.steps.inspecting import inspect
    from stitchpipe.steps.reporting import report
    from stitchpipe.steps.stitching import stitch
    from stitchpipe.steps.training import train
    from stitchpipe.steps.work_units import STEPS, Units, check, units

__all__ = [
    "STEPS",
    "Units",
    "check",
    "cluster_of",
    "compare",
    "dump",
    "fit_maps",
    "inspect",
    "parse_part",
    "report",
    "stitch",
    "train",
    "units",
]

_HOMES = {
    "comparing": ("cluster_of", "compare", "fit_maps"),
    "dumping": ("dump", "parse_part"),
    "inspecting": ("inspect",),
    "reporting": ("report",),
    "stitching": ("stitch",),
    "training": ("train",),
    "work_units": ("STEPS", "Units", "check", "units"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'stitchpipe.steps' has no attribute {name!r}")
    return getattr(import_module(f"stitchpipe.steps.{_HOME_OF[name]}"), name)
