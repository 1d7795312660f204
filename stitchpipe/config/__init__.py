"""The sweep file: a declared set of models × data × layers × indices × stitches, validated before any work.

A sweep is TOML. Unknown keys are refused with the nearest known one, relative paths are taken from the
file's own folder, and every default is visible in ``stitchpipe plan``.
"""

from stitchpipe.config.controls import Control
from stitchpipe.config.data import Data
from stitchpipe.config.index_names import IndexName
from stitchpipe.config.models import Model, Training
from stitchpipe.config.ood import Detector, Ood
from stitchpipe.config.reading import load, parse, shipped
from stitchpipe.config.refusal import ConfigError
from stitchpipe.config.stitches import Init, Stitch
from stitchpipe.config.store import Dump, Store
from stitchpipe.config.sweep import Compare, Run, Sweep
from stitchpipe.config.writing import declared_toml

__all__ = [
    "Compare",
    "ConfigError",
    "Control",
    "Data",
    "Detector",
    "Dump",
    "IndexName",
    "Init",
    "Model",
    "Ood",
    "Run",
    "Stitch",
    "Store",
    "Sweep",
    "Training",
    "declared_toml",
    "load",
    "parse",
    "shipped",
]
