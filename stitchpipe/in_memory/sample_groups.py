"""Which samples belong together, such as copies of one image: what is left out, and exchanged, together."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from stitchpipe.algebra import RowsError
from stitchpipe.algebra.certainty import FEWEST_GROUPS, Togetherness, draw_permutations

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]

GROUPS: Final = 20
"""Groups that are left out one at a time, as many as a dump has row groups."""


@dataclass(frozen=True, eq=False)
class SampleGroups:
    """The groups of n samples, numbered from 0 as they are first seen.

    Attributes
    ----------
    codes
        ``[n]``: the group of each sample.
    """

    codes: Integers

    @classmethod
    def of(cls, groups: Any, n: int) -> Self | None:
        """Take one name or number for each sample; None where none are given, or each sample is on its own.

        Raises
        ------
        RowsError
            Not one for each sample, or some are missing.
        """
        if groups is None:
            return None
        import pandas as pd  # noqa: PLC0415 - whoever has no groups may not need it

        named = np.asarray(groups)
        missing = int(pd.isna(named).sum()) if named.ndim == 1 else 0
        if named.shape != (n,) or missing:
            raise RowsError(
                where="groups",
                expected=f"one name or number for each of {n} samples, in their order",
                found=f"{missing} without one" if missing else f"shape {named.shape}",
                remedy="Give samples that belong to no others a name of their own.",
            )
        codes = np.asarray(pd.factorize(named)[0], np.int64)
        return None if len(np.unique(codes)) == n else cls(codes)

    def parts(self, most: int) -> list[Integers]:
        """Return the samples of `most` parts, or fewer, that chance puts together of whole groups (seeded)."""
        if len(self) < FEWEST_GROUPS:
            return []
        drawn = np.array_split(np.random.default_rng(0).permutation(len(self)), min(most, len(self)))
        return [np.flatnonzero(np.isin(self.codes, of_part)) for of_part in drawn]

    def chosen(self, most: int) -> Integers:
        """Return at most so many samples, of whole groups that chance chooses (seeded); all where that is enough."""
        if len(self.codes) <= most:
            return np.arange(len(self.codes))
        sizes = np.bincount(self.codes)
        order = np.random.default_rng(0).permutation(len(sizes))
        kept = order[np.cumsum(sizes[order]) <= most]
        return np.flatnonzero(np.isin(self.codes, kept))

    def at(self, samples: Integers) -> SampleGroups:
        """Return the groups of some samples."""
        return SampleGroups(
            np.unique(self.codes[samples], return_inverse=True)[1].reshape(-1).astype(np.int64)
        )

    @property
    def lone_sizes(self) -> tuple[int, ...]:
        """The sizes of which there is one group alone: with any, nothing can be exchanged."""
        sizes = Counter(np.bincount(self.codes).tolist())
        return tuple(sorted(size for size, count in sizes.items() if count == 1))

    def orders(self, count: int) -> npt.NDArray[Any]:
        """Return orders ``[count, n]`` that put whole groups where others of their size were."""
        beside = np.argsort(self.codes, kind="stable")
        edges = np.concatenate([[0], np.cumsum(np.bincount(self.codes))]).tolist()
        bounds = list(itertools.pairwise(edges))
        drawn = draw_permutations(len(self.codes), count, groups=bounds)
        orders = np.empty_like(drawn)
        # Drawn for samples whose groups lie side by side; places and samples go back to where they were.
        orders[:, beside] = beside[drawn]
        return orders

    def __len__(self) -> int:
        """Return how many groups there are."""
        return int(self.codes.max()) + 1

    @property
    def together(self) -> Togetherness:
        """What the groups forbid, for as many parts of them as intervals leave out."""
        return Togetherness(len(self), min(GROUPS, len(self)), self.lone_sizes, sample="sample")
