"""A run's steps, each one function of a run and a unit of work: what flows schedule and the command line runs.

Importing this room is cheap: a step is imported when it is first used.
"""

from typing import TYPE_CHECKING

from stitchpipe.front_doors import on_first_use

if TYPE_CHECKING:
    from stitchpipe.steps.agendas import begin_agenda, keep_agenda
    from stitchpipe.steps.comparing import cluster_of, compare, fit_maps, on_cluster
    from stitchpipe.steps.costing import unit_costs
    from stitchpipe.steps.doneness import dumped, inspected, stitched, trained
    from stitchpipe.steps.dumping import dump
    from stitchpipe.steps.failures import UnitsFailedError
    from stitchpipe.steps.inspecting import inspect
    from stitchpipe.steps.parts import parse_part
    from stitchpipe.steps.reporting import report
    from stitchpipe.steps.stitching import stitch
    from stitchpipe.steps.training import train
    from stitchpipe.steps.unit_keys import unit_key
    from stitchpipe.steps.work_units import STEPS, Units, check, check_declaration, refuse, units

__all__ = [
    "STEPS",
    "Units",
    "UnitsFailedError",
    "begin_agenda",
    "check",
    "check_declaration",
    "cluster_of",
    "compare",
    "dump",
    "dumped",
    "fit_maps",
    "inspect",
    "inspected",
    "keep_agenda",
    "on_cluster",
    "parse_part",
    "refuse",
    "report",
    "stitch",
    "stitched",
    "train",
    "trained",
    "unit_costs",
    "unit_key",
    "units",
]

_HOMES = {
    "agendas": ("begin_agenda", "keep_agenda"),
    "comparing": ("cluster_of", "compare", "fit_maps", "on_cluster"),
    "costing": ("unit_costs",),
    "doneness": ("dumped", "inspected", "stitched", "trained"),
    "dumping": ("dump",),
    "failures": ("UnitsFailedError",),
    "inspecting": ("inspect",),
    "parts": ("parse_part",),
    "reporting": ("report",),
    "stitching": ("stitch",),
    "training": ("train",),
    "unit_keys": ("unit_key",),
    "work_units": ("STEPS", "Units", "check", "check_declaration", "refuse", "units"),
}
__getattr__ = on_first_use(__name__, _HOMES)
