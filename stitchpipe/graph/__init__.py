"""A network's layers, its cuts, and the part behind a cut."""

from stitchpipe.graph.layers import LayerError, LayerInfo, layers, select
from stitchpipe.graph.split import LOGITS, PENULTIMATE, Extractor, extractor, tail
from stitchpipe.graph.trace import TraceError, in_eval_mode

__all__ = [
    "LOGITS",
    "PENULTIMATE",
    "Extractor",
    "LayerError",
    "LayerInfo",
    "TraceError",
    "extractor",
    "in_eval_mode",
    "layers",
    "select",
    "tail",
]
