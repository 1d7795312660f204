"""What samples that belong together forbid: which nulls and limits of an index are not given, and the remark on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from stitchpipe.algebra.certainty.jackknife import FEWEST_GROUPS

if TYPE_CHECKING:
    from stitchpipe.measures import Measure

SHOWN: Final = 8
"""Sizes of groups that a remark names."""


@dataclass(frozen=True)
class Togetherness:
    """How samples belong together.

    Attributes
    ----------
    groups
        How many groups there are.
    parts
        How many parts, each of whole groups, an interval can leave out one by one.
    lone_sizes
        The sizes of which there is one group alone: with any, nothing is permuted.
    sample
        What a sample is called.
    """

    groups: int
    parts: int
    lone_sizes: tuple[int, ...]
    sample: Literal["image", "sample"]

    def no_null(self, measure: Measure, *, permuted: bool) -> list[str]:
        """Return which nulls a measure has where every sample is on its own, and has not here.

        For views with one row for each sample: of others no measure has any. `permuted` says whether a null was wanted.
        """
        said = []
        if measure.closed_null:
            said.append(
                f"no null in closed form: it takes each {self.sample} for exchangeable, and these come in groups"
            )
        if permuted and self.lone_sizes and measure.null:
            sizes = ", ".join(map(str, self.lone_sizes[:SHOWN])) + (
                ", …" if len(self.lone_sizes) > SHOWN else ""
            )
            said.append(
                f"no permutation null: a group is only exchanged with another of its size, and those of {sizes} "
                f"{self.sample}s have none"
            )
        return said

    def no_limits(self, measure: Measure, p: int, q: int) -> list[str]:
        """Return why a measure of moments has no limits for layers of widths p and q; nothing where it has some.

        What never has limits has no remark either.
        """
        if measure.interval is None:
            return []
        if self.parts < FEWEST_GROUPS:
            return [
                f"no interval: it leaves out whole groups, {FEWEST_GROUPS} parts at least, and they make {self.parts}"
            ]
        if measure.has_limits(p, q, self.groups):
            return []
        return [
            f"no interval where p + q > {self.groups - 1}: so few groups of {self.sample}s force the number"
        ]
