"""Every measure of one layer. A new one is a file of its own, and its name here."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from stitchpipe.algebra.layers.effective_rank import EFFECTIVE_RANK
from stitchpipe.algebra.layers.linear_probe import LINEAR_PROBE
from stitchpipe.algebra.layers.participation_ratio import PARTICIPATION_RATIO
from stitchpipe.algebra.layers.spectrum_exponent import SPECTRUM_EXPONENT
from stitchpipe.algebra.layers.two_nn import TWO_NN
from stitchpipe.measures import read_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.algebra.layer_measure import LayerMeasure

LAYER_MEASURES: Mapping[str, LayerMeasure] = MappingProxyType(
    {
        measure.name: measure
        for measure in (PARTICIPATION_RATIO, EFFECTIVE_RANK, SPECTRUM_EXPONENT, TWO_NN, LINEAR_PROBE)
    }
)
"""By name, with the default of the parameter, in the order in which they are listed."""


@lru_cache
def layer_measure_named(name: str) -> LayerMeasure:
    """Return a measure of one layer: ``"two_nn"``, ``"linear_probe(0.1)"``; its own name is the shortest spelling.

    Raises
    ------
    UnknownNameError
        No such measure (the nearest names are given), a parameter where there is none, or one out of range.
    """
    known = {measure.name: measure.measure.parameter for measure in LAYER_MEASURES.values()}
    base, value = read_name(name, known, what="measure of a layer", see="See `stitchpipe indices`.")
    return LAYER_MEASURES[base] if value is None else LAYER_MEASURES[base].with_parameter(value)
