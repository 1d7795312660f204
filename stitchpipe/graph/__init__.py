"""A network's layers, its cuts, and the part behind a cut."""

from stitchpipe.graph.extraction import LOGITS, Extractor, extractor
from stitchpipe.graph.folding import folded
from stitchpipe.graph.inspection import Inspection, InspectionError, inspect, layers
from stitchpipe.graph.layer_info import PENULTIMATE, LayerError, LayerInfo, matching, select, suggestion
from stitchpipe.graph.opening import opened
from stitchpipe.graph.tails import image_channels, tail, tails
from stitchpipe.graph.trace import TraceError, in_eval_mode

__all__ = [
    "LOGITS",
    "PENULTIMATE",
    "Extractor",
    "Inspection",
    "InspectionError",
    "LayerError",
    "LayerInfo",
    "TraceError",
    "extractor",
    "folded",
    "image_channels",
    "in_eval_mode",
    "inspect",
    "layers",
    "matching",
    "opened",
    "select",
    "suggestion",
    "tail",
    "tails",
]
