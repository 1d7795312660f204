"""How sure a number is: intervals by leaving out groups of images, and nulls by permuting images."""

from stitchpipe.algebra.certainty.calibration import Calibration, calibrate
from stitchpipe.algebra.certainty.jackknife import Interval, jackknife, leave_one_out
from stitchpipe.algebra.certainty.linear_null import (
    LINEAR_INDICES,
    LinearIndex,
    NullCost,
    linear_null_cost,
    linear_nulls,
)
from stitchpipe.algebra.certainty.permutation_null import (
    PERMUTATIONS,
    PermutationNull,
    draw_permutations,
    neighbour_null,
    permutation_null,
)

__all__ = [
    "LINEAR_INDICES",
    "PERMUTATIONS",
    "Calibration",
    "Interval",
    "LinearIndex",
    "NullCost",
    "PermutationNull",
    "calibrate",
    "draw_permutations",
    "jackknife",
    "leave_one_out",
    "linear_null_cost",
    "linear_nulls",
    "neighbour_null",
    "permutation_null",
]
