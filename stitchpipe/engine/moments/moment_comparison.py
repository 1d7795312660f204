"""What every task of a comparison of moments is given: a plan, what is wanted of its pairs, and what it reaches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.engine.planning.comparison import Comparison
    from stitchpipe.engine.planning.pairs import Pair
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.resources import TaskResources
    from stitchpipe.rows import View


class MapDestination(Protocol):
    """Where one fitted map is kept; it travels to the worker that fits it."""

    def keep(self, fitted: AffineMap) -> object:
        """Keep it, whole or not at all."""


@dataclass(frozen=True)
class MomentComparison:
    """What every task of a comparison of moments is given. Picklable.

    Attributes
    ----------
    indices
        Names by view: those that are computed from moments.
    maps
        Where fitted maps of a pair are to be kept, by family (`stitchpipe.algebra.map_families.family_named`), by the
        view they are fitted under.
    intervals
        Whether each number gets an interval.
    """

    resources: TaskResources
    plan: Plan
    indices: Mapping[View, tuple[str, ...]]
    maps: Mapping[tuple[View, Pair], Mapping[str, MapDestination]] = field(default_factory=dict)
    intervals: bool = False

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        plan: Plan,
        resources: TaskResources,
        maps: Mapping[tuple[View, Pair], Mapping[str, MapDestination]],
    ) -> Self:
        """Return the part of a comparison that is carried out with moments, as it was planned.

        Parameters
        ----------
        maps
            Where the maps of the comparison go.
        """
        return cls(resources, plan, comparison.of_moments, maps, comparison.intervals)
