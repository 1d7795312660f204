"""What the product reports as numbers: types only, light, and below every room that computes."""

from stitchpipe.measures.measure import (
    ISOTROPIC,
    LINEAR,
    NO_INVARIANCE,
    TRANSFORMATIONS,
    Basis,
    IntervalRule,
    Kind,
    Measure,
    Null,
    Transformation,
)
from stitchpipe.measures.naming import UnknownNameError, read_name, spelt
from stitchpipe.measures.number import EXTRAS, OK, WHOLE_EXTRAS, Number, NumberError
from stitchpipe.measures.parameter import Parameter

__all__ = [
    "EXTRAS",
    "ISOTROPIC",
    "LINEAR",
    "NO_INVARIANCE",
    "OK",
    "TRANSFORMATIONS",
    "WHOLE_EXTRAS",
    "Basis",
    "IntervalRule",
    "Kind",
    "Measure",
    "Null",
    "Number",
    "NumberError",
    "Parameter",
    "Transformation",
    "UnknownNameError",
    "read_name",
    "spelt",
]
