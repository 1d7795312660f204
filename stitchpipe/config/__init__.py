"""The sweep file: a declared set of models × data × layers × indices × stitches, validated before any work.

A sweep is TOML. Unknown keys are refused with the nearest known one, relative paths are taken from the
file's own folder, and every default is visible in ``stitchpipe plan``.
"""

from stitchpipe.config.data import Data
from stitchpipe.config.index_names import IndexName
from stitchpipe.config.model import Model, Training
from stitchpipe.config.refusal import ConfigError
from stitchpipe.config.store import Dump, Store
from stitchpipe.config.sweep import (
    Compare,
    Init,
    Ood,
    Run,
    Stitch,
    Sweep,
    load,
    parse,
    shipped,
)

__all__ = [
    "Compare",
    "ConfigError",
    "Data",
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
    "load",
    "parse",
    "shipped",
]
