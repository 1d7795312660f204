"""What one run of the engine is to give, by the names of layers, and the same as the engine takes it: by numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stitchpipe.engine import Comparison, LayerShape, Pairs, SplitShape, fits
from stitchpipe.run.run_keys import STITCH_VIEW

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.config import Sweep
    from stitchpipe.engine import Chunk, MomentComparison
    from stitchpipe.results import MapToKeep
    from stitchpipe.rows import View
    from stitchpipe.run.activations import Ends
    from stitchpipe.run.names import Pair
    from stitchpipe.steps.comparing.begun_comparison import BegunComparison


@dataclass(frozen=True, eq=False)
class Wanted:
    """What one run of the engine is to give.

    Attributes
    ----------
    pairs
        Which pairs of the ends, ``[layers, layers]``, source first, by view.
    indices
        By view.
    maps
        Names that maps are to be kept under, by pair and family.
    keys
        Of the numbers of every index of every pair, ``[layers, layers]`` each, by view.
    """

    pairs: Mapping[View, npt.NDArray[np.bool_]] = field(default_factory=dict)
    indices: Mapping[View, tuple[str, ...]] = field(default_factory=dict)
    maps: Mapping[Pair, Mapping[str, MapToKeep]] = field(default_factory=dict)
    keys: Mapping[View, Mapping[str, npt.NDArray[np.uint64]]] = field(default_factory=dict)

    @property
    def is_anything(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.maps) or any(of_view.any() for of_view in self.pairs.values())

    def comparison(self, ends: Ends, sweep: Sweep) -> Comparison:
        """Return what the engine is asked for; layers have the numbers of their places among the ends.

        The training split is read only where a map is fitted.
        """
        numbers = {name: number for number, name in enumerate(ends)}
        is_fitted = fits([name for names in self.indices.values() for name in names], self.maps)
        sides = [(end.train, end.test) if is_fitted else (end.test,) for end in ends.values()]
        return Comparison(
            layers=tuple(
                LayerShape(
                    end.name.model,
                    end.name.layer,
                    tuple(of_split.fingerprint for of_split in side),
                    end.test.shape[1:],
                    end.test.dtype.itemsize,
                    max(of_split.chunk_rows for of_split in side),
                    end.grid if len(end.grid) == 3 else None,
                )
                for end, side in zip(ends.values(), sides, strict=True)
            ),
            splits=tuple(
                SplitShape(
                    of_split.address.dataset,
                    of_split.address.split,
                    of_split.row_groups,
                    of_split.group_bounds,
                )
                for of_split in sides[0]
            ),
            pairs={view: Pairs(of_view) for view, of_view in self.pairs.items()},
            indices=self.indices,
            maps={
                (STITCH_VIEW, (numbers[source], numbers[target])): by_family
                for (source, target), by_family in self.maps.items()
            },
            intervals=sweep.certainty.intervals,
            permutations=sweep.certainty.permutations,
            family=sweep.certainty.family_kind,
        )


@dataclass(frozen=True)
class BegunMoments:
    """What the engine is doing with moments.

    Attributes
    ----------
    still
        Which pairs are not finalised yet, ``[layers, layers]``, by view.
    """

    comparison: MomentComparison
    begun: BegunComparison
    still: Mapping[View, npt.NDArray[np.bool_]]

    def wants(self, view: View, chunk: Chunk) -> bool:
        """Return whether a chunk is still to be finalised."""
        return bool(self.still[view][tuple(chunk.pairs.T)].any())

    def is_left(self, pass_number: int) -> bool:
        """Return whether a pass has a chunk that is still to be finalised."""
        formed = self.comparison.plan.passes[pass_number]
        return any(self.wants(formed.tiles[chunk.tile].view, chunk) for chunk in formed.chunks)
