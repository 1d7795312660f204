"""The sources of each target layer, one model's at a time, and the best of them: what every ranking is read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.studies.pairs import Pairs

    Truths = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The best source of each target.

    Attributes
    ----------
    likeness
        Of the best, −∞ where nothing was to be chosen from.
    level
        How many sources share it.
    place
        Of these the nearest, as a place among the ranked pairs; of several as near the first.
    """

    likeness: Floats
    level: Places
    place: Places


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Pairs of layers, those of a target and of one model's sources beside each other.

    A case is such a target. Cases stand in the order in which they are seen, and so do the pairs of each.

    Attributes
    ----------
    pairs
        Case after case.
    order
        Where each pair was before.
    starts
        The place of each case's first pair.
    """

    pairs: Pairs
    order: Places
    starts: Places

    @classmethod
    def of(cls, pairs: Pairs) -> Ranking:
        """Rank the sources of every target. Time O(n log n) in the pairs."""
        layers = len(pairs.axis.ends)
        case, _ = pd.factorize(pairs.source_model * layers + pairs.target)
        order = np.argsort(case, kind="stable")
        starts = np.flatnonzero(np.diff(case[order], prepend=-1))
        return cls(pairs.at(order), order, starts)

    @property
    def sizes(self) -> Places:
        """How many sources each case has."""
        return np.diff(self.starts, append=len(self.pairs))

    def to_pairs(self, numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a number of each case as one of each of its pairs."""
        return np.repeat(numbers, self.sizes)

    def count(self, holds: Truths) -> Places:
        """Return for how many pairs of each case something holds."""
        if not len(self.starts):
            return np.zeros(0, np.intp)
        counts: Places = np.add.reduceat(holds, self.starts, dtype=np.intp)
        return counts

    def best(self, among: Truths, off: npt.NDArray[Any]) -> Best:
        """Return the best source of each case among some of its pairs, and of several the one that is least off."""
        if not len(self.starts):
            return Best(np.zeros(0), np.zeros(0, np.intp), np.zeros(0, np.intp))
        likeness = np.where(among, self.pairs.likeness, -np.inf)
        most = np.maximum.reduceat(likeness, self.starts)
        is_level = among & (likeness == self.to_pairs(most))
        away = np.where(is_level, off, np.inf)
        is_nearest = is_level & (away == self.to_pairs(np.minimum.reduceat(away, self.starts)))
        places = np.where(is_nearest, np.arange(len(away)), len(away))
        return Best(most, self.count(is_level), np.minimum.reduceat(places, self.starts))
