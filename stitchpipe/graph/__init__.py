"""A network's layers, its cuts, and the part behind a cut."""

from stitchpipe.graph.layers import LayerError, LayerInfo, layers, select
from stitchpipe.graph.split import LOGITS, extractor, tail

__all__ = ["LOGITS", "LayerError", "LayerInfo", "extractor", "layers", "select", "tail"]
