"""Which samples a null may exchange: each with any other, or whole groups with groups of as many samples.

Copies of one image, frames of one film and photographs of one subject depend on each other in both models, whatever
these have in common. Permuted one by one they are torn apart, and what is left is a null that nearly everything beats.
Whole groups are exchangeable where groups are a random choice: the rows of a group keep their order and go where those
of another group of its size were.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra.errors import RowsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

PERMUTATIONS: Final = 200
"""How many, unless another number is asked for."""


def draw_permutations(
    n: int, count: int = PERMUTATIONS, *, seed: int = 0, groups: Sequence[tuple[int, int]] | None = None
) -> np.ndarray[Any, Any]:
    """Return `count` uniform permutations of n samples, ``[count, n]``, the same for the same seed.

    Parameters
    ----------
    groups
        ``(start, stop)`` of the groups that samples belong to, one behind the other; None where each is on its own.
        Permutations are then uniform among those that put whole groups in the places of groups of their size.

    Raises
    ------
    RowsError
        No permutations, groups that are not those of n samples, or one that has no other of its size.

    Notes
    -----
    Groups of one sample each give the permutations of no groups at all.
    """
    if count < 1:
        raise RowsError(
            where="permutation null",
            expected="at least 1 permutation",
            found=f"{count}",
            remedy=f"{PERMUTATIONS} resolve p-values down to {1 / (PERMUTATIONS + 1):.3f}.",
        )
    generator = np.random.default_rng(seed)
    if groups is None:
        return generator.permuted(np.tile(np.arange(n), (count, 1)), axis=1)
    bounds = _checked(groups, n)
    orders = np.tile(np.arange(n), (count, 1))
    sizes = bounds[:, 1] - bounds[:, 0]
    for size in np.unique(sizes).tolist():
        starts = bounds[sizes == size, 0]
        drawn = generator.permuted(np.tile(starts, (count, 1)), axis=1)
        within = np.arange(size)
        places = (starts[:, None] + within).ravel()
        orders[:, places] = (drawn[:, :, None] + within).reshape(count, -1)
    return orders


def lone_sizes(groups: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return the sizes of which there is one group alone, ascending: it can be exchanged with none."""
    sizes = Counter(stop - start for start, stop in groups)
    return tuple(sorted(size for size, count in sizes.items() if count == 1))


def _checked(groups: Sequence[tuple[int, int]], n: int) -> npt.NDArray[np.int64]:
    """Return bounds as an array ``[groups, 2]``, refusing what is not groups of n samples that can be exchanged."""
    bounds = np.asarray(groups, np.int64).reshape(-1, 2)
    edges = np.concatenate([bounds[:, 0], [n]])
    if edges[0] or (np.diff(edges) < 1).any() or not np.array_equal(bounds[:, 1], edges[1:]):
        raise RowsError(
            where="permutation null",
            expected=f"groups one behind the other, from sample 0 to {n}",
            found=f"{len(bounds)} groups that leave gaps, overlap or end elsewhere",
            remedy="Put the samples of each group side by side, and give (start, stop) of each.",
        )
    alone = lone_sizes(groups)
    if alone:
        raise RowsError(
            where="permutation null",
            expected="at least two groups of each size, which can be exchanged",
            found=f"one group alone of {', '.join(map(str, alone))} samples",
            remedy="Leave out samples until groups are of equal sizes, or ask for no permutations.",
        )
    return bounds
