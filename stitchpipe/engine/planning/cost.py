"""What a plan costs: what is read, formed, decomposed, held and left in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.engine.planning.memory import leaf_bytes
from stitchpipe.engine.planning.pass_layout import own_operand
from stitchpipe.engine.planning.tiles import side_width, width
from stitchpipe.rows import VIEWS, rows_per_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.engine.planning.chunks import Cutting
    from stitchpipe.engine.planning.memory import Precision
    from stitchpipe.engine.planning.pass_layout import Pass
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.rows import View


@dataclass(frozen=True, slots=True)
class Cost:
    """Projected work, over all splits.

    Attributes
    ----------
    pairs
        Directed pairs.
    bytes_read
        Stored bytes before compression.
    flops
        Of the distinct products: 2·rows·p·q each, half of that for a symmetric one.
    finalisation_flops
        Of decompositions and solves, at about 40·r³ a pair and evaluation, r the larger width or, where they are fewer,
        the rows.
    peak_bytes
        Of one worker, its interpreter included.
    temporary_bytes
        Of the leaves that lie in the folder of summaries at a time: those of two passes that follow each other.
    """

    pairs: int
    bytes_read: int
    flops: int
    finalisation_flops: int
    peak_bytes: int
    temporary_bytes: int


def cost_of(
    passes: Sequence[Pass],
    layers: Sequence[LayerShape],
    splits: Sequence[SplitShape],
    cutting: Cutting,
    precision: Precision,
    peak_bytes: int,
) -> Cost:
    """Return what passes cost. Time O(pairs)."""
    samples = sum(split.n_samples for split in splits)
    left = [leaf_bytes(layers, formed, splits, precision) for formed in passes]
    return Cost(
        pairs=sum(formed.n_pairs for formed in passes),
        bytes_read=sum(
            layers[index].sample_bytes
            * sum(split.samples_read(layers[index].chunk_samples) for split in splits)
            for formed in passes
            for index in formed.layers
        ),
        flops=samples * sum(flops_of_view(layers, passes, view) for view in VIEWS),
        finalisation_flops=sum(_finalisation_flops(layers, formed, cutting) for formed in passes),
        peak_bytes=peak_bytes,
        temporary_bytes=max((sum(left[at : at + 2]) for at in range(len(left))), default=0),
    )


def flops_of_view(layers: Sequence[LayerShape], passes: Sequence[Pass], view: View) -> int:
    """Return the flops of the distinct products of one view, for one sample."""
    flops = 0
    for tile in (tile for formed in passes for tile in formed.tiles if tile.view == view):
        p, q = (side_width(layers, view, side) for side in (tile.sources, tile.targets))
        flops += rows_per_sample(view, tile.formed_on) * (p * (p + 1) if tile.symmetric else 2 * p * q)
    for own in (own for formed in passes for own in formed.apart if own.view == view):
        p = width(layers[own.layer], view)
        flops += rows_per_sample(view, own_operand(layers, own)[0]) * p * (p + 1)
    return flops


def _finalisation_flops(layers: Sequence[LayerShape], formed: Pass, cutting: Cutting) -> int:
    flops = 0.0
    for tile, sizes in formed.sizes(lambda view, layer: formed.held_width(layers, view, layer)):
        rows = rows_per_sample(tile.view, tile.grid)
        flops += sum(count * cutting.pair_flops(p, q, rows) for (p, q), count in sizes.items())
    return int(cutting.evaluations * flops)
