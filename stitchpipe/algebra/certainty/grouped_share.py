"""How sure a share of images is, such as an accuracy, where images belong together: by their groups, as clusters.

Copies of one image, or frames of one film, are right or wrong together. A share over them is as sure as one over fewer
images: as many as make its variance, summed over groups, that of images each on its own.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.certainty.jackknife import FEWEST_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Truths = npt.NDArray[np.bool_]

LEVEL: Final = 0.95
"""Of limits."""


def too_few(what: str) -> str:
    """Return the remark on a share that has no interval, or no standard error, for want of groups."""
    return f"no {what}: fewer than {FEWEST_GROUPS} groups of images"


def group_codes(bounds: Sequence[tuple[int, int]]) -> Integers:
    """Return the number of each sample's group ``[n]``, from the ``(start, stop)`` of groups that lie side by side."""
    return np.repeat(np.arange(len(bounds)), [stop - start for start, stop in bounds]).astype(np.int64)


def clustered_error(rests: Floats, groups: Integers) -> float:
    """Return the standard error of a mean from what each sample has beyond it ``[n]``, which sum to about 0.

    √(G/(G−1)·Σ_g (Σ_{i∈g} rᵢ)²)/n: the cluster-robust error of a mean with the usual correction for G groups (Liang and
    Zeger 1986; CR1). Of samples each on their own it is s/√n. Time O(n).
    """
    sums = np.bincount(groups, weights=rests)
    count = len(sums)
    return sqrt(count / (count - 1) * float(sums @ sums)) / len(rests)


def count_as_copies(sizes: Integers) -> float:
    """Return as how many images on their own groups of some sizes are, if each is copies of one: n²/Σn_g²."""
    return float(sizes.sum()) ** 2 / float(sizes @ sizes)


def effective_count(hits: Truths, groups: Integers | None) -> float:
    """Return as how many images on their own these are, for the share of hits: n without groups.

    1 + m(1−m)/V of the share m and its cluster-robust variance V; of c copies of each of G images it is G. Where all or
    none are hits no spread can be seen, and images of a group count as copies: n²/Σn_g². No more than n in any case:
    that images of a group are less alike than others is not relied on.
    """
    n = len(hits)
    if groups is None:
        return float(n)
    share = float(hits.mean())
    sizes = np.bincount(groups)
    error = clustered_error(np.asarray(hits, np.float64) - share, groups) if len(sizes) > 1 else 0.0
    if 0.0 < share < 1.0 and error > 0.0:
        return min(float(n), 1.0 + share * (1.0 - share) / error**2)
    return count_as_copies(sizes) if share in (0.0, 1.0) else float(n)


def share_error(hits: Truths, groups: Integers | None = None) -> float | None:
    """Return the standard error of a share, with two of either outcome added (Agresti and Coull 1998).

    Without these it would be 0 where all are hits. With `groups` ``[n]`` it is that of `effective_count` images; None
    of fewer than `FEWEST_GROUPS` groups.
    """
    if _are_too_few(groups):
        return None
    n = effective_count(hits, groups)
    share = (float(hits.mean()) * n + 2.0) / (n + 4.0)
    return sqrt(share * (1.0 - share) / (n + 4.0))


def share_limits(hits: Truths, groups: Integers) -> tuple[float, float] | None:
    """Return 95 % limits of a share over groups: Wilson's of `effective_count` images, with Student's quantile.

    They lie in 0 … 1 and do not collapse at either end; None of fewer than `FEWEST_GROUPS` groups. The quantile is that
    of G − 1 degrees of freedom, because the spread is told from G sums (Korn and Graubard 1998).
    """
    if _are_too_few(groups):
        return None
    n, share = effective_count(hits, groups), float(hits.mean())
    z = _quantile(groups)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At either end the limit is exact, and not what rounding leaves of the difference.
    return (0.0 if share == 0.0 else max(0.0, middle - half)), (
        1.0 if share == 1.0 else min(1.0, middle + half)
    )


def ratio_limits(above: Truths, below: Truths, groups: Integers) -> tuple[float, float] | None:
    """Return 95 % limits of Σ above/Σ below, two counts over the same samples: linearised, over groups.

    r ± t·√(G/(G−1)·Σ_g (Σ_{i∈g} aᵢ − r·bᵢ)²)/Σb (Cochran 1977, ratio estimation), not below 0. None of fewer than
    `FEWEST_GROUPS` groups, or where nothing is below.
    """
    total = float(below.sum())
    if _are_too_few(groups) or total == 0.0:
        return None
    ratio = float(above.sum()) / total
    half = _quantile(groups) * clustered_error(above - ratio * below, groups) * len(above) / total
    return max(0.0, ratio - half), ratio + half


def _are_too_few(groups: Integers | None) -> bool:
    return groups is not None and int(groups.max()) + 1 < FEWEST_GROUPS


def _quantile(groups: Integers) -> float:
    from scipy.special import stdtrit  # noqa: PLC0415 - a quarter of a second, which no query should cost

    return float(stdtrit(int(groups.max()), (1 + LEVEL) / 2))
