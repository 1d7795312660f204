"""The sweep file: a declared set of models × data × layers × indices × stitches, validated before any work.

A sweep is TOML. Tables of several kinds are unions, told apart by one key: each kind has a section with its own keys,
and a key of another kind is refused. Relative paths are taken from the file's own folder, and every default is visible
in ``stitchpipe plan``.
"""

from stitchpipe.config.comparisons import Compare
from stitchpipe.config.controls import Control, Permuted, RandomCodes
from stitchpipe.config.data import (
    ArraysData,
    ColouredData,
    Data,
    DigitsData,
    EntryPointData,
    FlatFolderData,
    FolderData,
    ImageData,
    ObjectData,
    StoredData,
    TorchvisionData,
)
from stitchpipe.config.layer_words import LAYER_WORDS, layer_word
from stitchpipe.config.models import (
    ControlModel,
    IngestedModel,
    Model,
    NetworkModel,
    ObjectModel,
    PretrainedModel,
    TrainedModel,
    TrainingRecipe,
    UntrainedModel,
    WeightsModel,
)
from stitchpipe.config.names import IndexName
from stitchpipe.config.ood import Detector, Ood
from stitchpipe.config.reading import expanded, from_table, load, parse
from stitchpipe.config.refusal import ConfigError
from stitchpipe.config.restricting import restricted
from stitchpipe.config.run_settings import RunSettings
from stitchpipe.config.schema import sweep_schema, sweep_schema_json
from stitchpipe.config.stitches import DirectStitch, Init, Stitch, TrainedStitch
from stitchpipe.config.store import Augment, Dump, Store
from stitchpipe.config.sweep import Sweep
from stitchpipe.config.text import shipped
from stitchpipe.config.writing import declared_toml
from stitchpipe.config.zoo import ZooRule

__all__ = [
    "LAYER_WORDS",
    "ArraysData",
    "Augment",
    "ColouredData",
    "Compare",
    "ConfigError",
    "Control",
    "ControlModel",
    "Data",
    "Detector",
    "DigitsData",
    "DirectStitch",
    "Dump",
    "EntryPointData",
    "FlatFolderData",
    "FolderData",
    "ImageData",
    "IndexName",
    "IngestedModel",
    "Init",
    "Model",
    "NetworkModel",
    "ObjectData",
    "ObjectModel",
    "Ood",
    "Permuted",
    "PretrainedModel",
    "RandomCodes",
    "RunSettings",
    "Stitch",
    "Store",
    "StoredData",
    "Sweep",
    "TorchvisionData",
    "TrainedModel",
    "TrainedStitch",
    "TrainingRecipe",
    "UntrainedModel",
    "WeightsModel",
    "ZooRule",
    "declared_toml",
    "expanded",
    "from_table",
    "layer_word",
    "load",
    "parse",
    "restricted",
    "shipped",
    "sweep_schema",
    "sweep_schema_json",
]
