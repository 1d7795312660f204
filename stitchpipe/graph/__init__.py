"""A network's layers, its cuts, and the part behind a cut."""

from stitchpipe.graph.layers import LayerError, LayerInfo, layers, select
from stitchpipe.graph.split import extractor, tail

__all__ = ["LayerError", "LayerInfo", "extractor", "layers", "select", "tail"]
