"""Measures of one layer by itself: one file each, and the table of all."""

from stitchpipe.algebra.layers.table import LAYER_MEASURES, layer_measure_named

__all__ = ["LAYER_MEASURES", "layer_measure_named"]
