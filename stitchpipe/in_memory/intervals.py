"""Intervals of numbers in memory: what every pair gives without each group of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.certainty import jackknife
from stitchpipe.algebra.certainty.jackknife import FEWEST_GROUPS
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.in_memory.sample_groups import GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from stitchpipe.algebra import Index
    from stitchpipe.in_memory.pairs import Numbers
    from stitchpipe.in_memory.sample_groups import SampleGroups

LEAST_SAMPLES: Final = 2
"""Samples in a group."""


def groups_of(n: int, together: SampleGroups | None = None) -> list[npt.NDArray[np.int64]]:
    """Return `GROUPS` groups of samples that chance puts together (seeded), fewer of few samples; none of too few.

    Samples may be sorted by class, and groups that followed their order would be far too wide apart. What belongs
    together stays together.
    """
    if together is not None:
        return together.parts(GROUPS)
    count = min(GROUPS, n // LEAST_SAMPLES)
    if count < FEWEST_GROUPS:
        return []
    return [np.sort(part) for part in np.array_split(np.random.default_rng(0).permutation(n), count)]


def with_intervals(
    numbers: Numbers, without: Sequence[Numbers], sizes: Sequence[int], indices: Mapping[str, Index]
) -> Numbers:
    """Return numbers with their bias taken away and the limits of 95 % intervals, where their measure has one.

    Parameters
    ----------
    without
        The same numbers without each group; maps that were fitted on other samples stay as they are.
    sizes
        Samples of each group.
    """
    limited = dict(numbers)
    for key, number in numbers.items():
        rule = indices[key[2]].measure.interval
        rest = [of_group[key].value for of_group in without]
        if rule is None or number.value is None or None in rest:
            continue
        try:
            interval = jackknife(number.value, rest, sizes, about=rule)
        except UndefinedIndexError:  # too few groups: no interval
            continue
        limited[key] = number.beside(
            low=float(interval.low), high=float(interval.high), corrected=float(interval.estimate)
        )
    return limited
