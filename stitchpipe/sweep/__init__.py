"""A sweep's steps, each one function over small units: what flows schedule and the command line runs."""

from stitchpipe.config import load
from stitchpipe.sweep.comparing import compare, fit_maps
from stitchpipe.sweep.dumping import dump, parse_part
from stitchpipe.sweep.engine_run import cluster_of
from stitchpipe.sweep.folder import Folder
from stitchpipe.sweep.reporting import report
from stitchpipe.sweep.room import demand_room
from stitchpipe.sweep.stitching import stitch
from stitchpipe.sweep.training import train
from stitchpipe.sweep.units import STEPS, Units, check, units

__all__ = [
    "STEPS",
    "Folder",
    "Units",
    "check",
    "cluster_of",
    "compare",
    "demand_room",
    "dump",
    "fit_maps",
    "load",
    "parse_part",
    "report",
    "stitch",
    "train",
    "units",
]
