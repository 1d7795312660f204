"""Numbers now: representations held in memory are compared without a store, by the same algebra.

Networks are compared by `stitchpipe.in_memory.networks`, and `stitchpipe.in_memory.estimator` is direct matching for
scikit-learn. Neither is imported here, because torch and scikit-learn take seconds to import and arrays need neither.
"""

from stitchpipe.in_memory.arrays import DEFAULT_INDICES, compare_arrays
from stitchpipe.in_memory.compare import compare
from stitchpipe.in_memory.frames import COLUMNS

__all__ = ["COLUMNS", "DEFAULT_INDICES", "compare", "compare_arrays"]
