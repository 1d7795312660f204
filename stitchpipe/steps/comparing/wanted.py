"""What one run of the engine is to give, and what the engine must know for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stitchpipe.engine import LayerShape, SplitShape
from stitchpipe.registry import index_measure
from stitchpipe.run.run_keys import STITCH_VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stitchpipe.engine import Plan, Request
    from stitchpipe.engine.planning.pass_layout import Chunk
    from stitchpipe.results import MapToKeep
    from stitchpipe.rows import View
    from stitchpipe.run.activations import Ends
    from stitchpipe.run.names import Pair
    from stitchpipe.steps.comparing.under_way import ComparisonUnderWay


@dataclass(frozen=True)
class Wanted:
    """What one run of the engine is to give.

    Attributes
    ----------
    pairs, indices
        By view.
    maps
        Names that maps are to be kept under, by pair and family.
    keys
        Of the numbers of every pair, by view.
    """

    pairs: Mapping[View, frozenset[Pair]] = field(default_factory=dict)
    indices: Mapping[View, tuple[str, ...]] = field(default_factory=dict)
    maps: Mapping[Pair, Mapping[str, MapToKeep]] = field(default_factory=dict)
    keys: Mapping[View, Mapping[Pair, str]] = field(default_factory=dict)

    def all_pairs(self) -> dict[View, frozenset[Pair]]:
        """Return the pairs to form, those of maps too; views without any are left out."""
        found = dict(self.pairs)
        if self.maps:
            found[STITCH_VIEW] = found.get(STITCH_VIEW, frozenset()) | frozenset(self.maps)
        return {view: pairs for view, pairs in found.items() if pairs}


def shapes_of(ends: Ends, wanted: Wanted) -> tuple[tuple[LayerShape, ...], tuple[SplitShape, ...]]:
    """Return what the engine must know of layers and splits; the training split only where a map is fitted."""
    held_out = any(index_measure(index).held_out for indices in wanted.indices.values() for index in indices)
    fits = bool(wanted.maps) or held_out
    sides = [(end.train, end.test) if fits else (end.test,) for end in ends.values()]
    layers = tuple(
        LayerShape(
            end.name.model,
            end.name.layer,
            tuple(one.fingerprint for one in side),
            end.test.shape[1:],
            end.test.dtype.itemsize,
            max(one.chunk_rows for one in side),
            end.grid if len(end.grid) == 3 else None,
        )
        for end, side in zip(ends.values(), sides, strict=True)
    )
    return layers, tuple(
        SplitShape(one.address.dataset, one.address.split, one.row_groups) for one in sides[0]
    )


@dataclass(frozen=True)
class MomentsTask:
    """What the engine is to do with moments.

    Attributes
    ----------
    still
        View and pair of what is not finalised yet.
    """

    plan: Plan
    request: Request
    under_way: ComparisonUnderWay
    still: frozenset[tuple[View, int, int]]

    def wanted(self, step: int | None) -> Callable[[View, Chunk], bool]:
        """Return which chunks are to be finalised, of one pass or of all."""
        mine = None if step is None else self.plan.passes[step].chunks
        return lambda view, chunk: (
            (mine is None or any(chunk is one for one in mine))
            and any((view, *pair) in self.still for pair in chunk.pairs)
        )

    def is_left(self, step: int) -> bool:
        """Return whether a pass has a chunk that is still to be finalised."""
        work, wanted = self.plan.passes[step], self.wanted(step)
        return any(wanted(work.tiles[chunk.tile].view, chunk) for chunk in work.chunks)
