"""How sure a number is: intervals by leaving out groups of images, nulls by permuting images, families of pairs."""

from stitchpipe.algebra.certainty.calibration import Calibration, calibrate
from stitchpipe.algebra.certainty.closed_null import FAR, ClosedNull, GramSums, NullSums, closed_null
from stitchpipe.algebra.certainty.exchange import PERMUTATIONS, draw_permutations, lone_sizes
from stitchpipe.algebra.certainty.family import (
    NO_FAMILY,
    FamilyCalibration,
    NullScale,
    benjamini_yekutieli,
    calibrate_in_family,
    family_maxima,
    holm,
)
from stitchpipe.algebra.certainty.grouped_share import (
    count_as_copies,
    effective_count,
    group_codes,
    ratio_limits,
    share_error,
    share_limits,
    too_few,
)
from stitchpipe.algebra.certainty.jackknife import FEWEST_GROUPS, Interval, jackknife, leave_one_out
from stitchpipe.algebra.certainty.linear_null import (
    LINEAR_INDICES,
    LinearIndex,
    NullCost,
    linear_null_cost,
    linear_nulls,
)
from stitchpipe.algebra.certainty.permutation_null import (
    PermutationNull,
    neighbour_null,
    permutation_null,
)
from stitchpipe.algebra.certainty.togetherness import Togetherness

__all__ = [
    "FAR",
    "FEWEST_GROUPS",
    "LINEAR_INDICES",
    "NO_FAMILY",
    "PERMUTATIONS",
    "Calibration",
    "ClosedNull",
    "FamilyCalibration",
    "GramSums",
    "Interval",
    "LinearIndex",
    "NullCost",
    "NullScale",
    "NullSums",
    "PermutationNull",
    "Togetherness",
    "benjamini_yekutieli",
    "calibrate",
    "calibrate_in_family",
    "closed_null",
    "count_as_copies",
    "draw_permutations",
    "effective_count",
    "family_maxima",
    "group_codes",
    "holm",
    "jackknife",
    "leave_one_out",
    "linear_null_cost",
    "linear_nulls",
    "lone_sizes",
    "neighbour_null",
    "permutation_null",
    "ratio_limits",
    "share_error",
    "share_limits",
    "too_few",
]
