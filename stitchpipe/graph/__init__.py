"""A network's layers, its cuts, and the part behind a cut."""

from stitchpipe.graph.extraction import LOGITS, Extractor, extractor
from stitchpipe.graph.folding import folded
from stitchpipe.graph.inspection import Inspection, InspectionError, inspect, layers
from stitchpipe.graph.joint_cuts import TOGETHER, joint_name, members_of
from stitchpipe.graph.joint_tail import JointTail
from stitchpipe.graph.layer_info import PENULTIMATE, LayerError, LayerInfo, matching, select, suggestion
from stitchpipe.graph.opening import opened
from stitchpipe.graph.tails import image_channels, tail, tails
from stitchpipe.graph.trace import TraceError, in_eval_mode

__all__ = [
    "LOGITS",
    "PENULTIMATE",
    "TOGETHER",
    "Extractor",
    "Inspection",
    "InspectionError",
    "JointTail",
    "LayerError",
    "LayerInfo",
    "TraceError",
    "extractor",
    "folded",
    "image_channels",
    "in_eval_mode",
    "inspect",
    "joint_name",
    "layers",
    "matching",
    "members_of",
    "opened",
    "select",
    "suggestion",
    "tail",
    "tails",
]
