"""Keys of what the engine keeps on its way: digests of everything that it depends on, and the versions that raise them.

Each key is a digest of JSON over fields that are named here one by one: renaming a class or adding an attribute changes
no key. Leaves, shifts and sums over minibatches last as long as a comparison, so that their keys may change; the keys
of kept images stand in stores and do not. The keys of results are not the engine's: `stitchpipe.run` has them.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from stitchpipe.engine.planning.chunks import Chunk
    from stitchpipe.engine.planning.pass_layout import Band, Space
    from stitchpipe.engine.planning.plan import Plan
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.engine.planning.tiles import Own, Tile
    from stitchpipe.rows import View

ACCUMULATION_VERSION: Final = 3
"""Raised when the same leaf would hold other sums, or the same sums under other names."""
IMAGES_VERSION: Final = 1
"""Raised when the same images would be kept as something else."""


def pass_key(plan: Plan, pass_number: int) -> str:
    """Return the key of a pass: how it lays out its sums, the contents of its layers, and how rows are formed.

    The layout counts because a leaf's arrays are named by the places of bands, chunks and own moments in it.
    """
    formed = plan.passes[pass_number]
    return _digest(
        24,
        [_tile(tile) for tile in formed.tiles],
        [_band(band) for band in formed.bands],
        [_chunk(chunk) for chunk in formed.chunks],
        [_own(own) for own in formed.owns],
        [_own(own) for own in formed.apart],
        [_space(space) for space in formed.spaces],
        [(index, _layer(plan.layers[index])) for index in formed.layers],
        [_split(split) for split in plan.splits],
        (plan.blocks.samples, plan.blocks.rows),
        plan.precision,
        plan.backend,
        ACCUMULATION_VERSION,
    )


def shift_key(of_pass: str, split: int) -> str:
    """Return the key of the shifts of a pass's layers on a split."""
    return f"{of_pass}-{split}-shift"


def leaf_key(of_pass: str, split: int, leaf: int) -> str:
    """Return the key of what a leaf of a pass leaves behind."""
    return f"{of_pass}-{split}-leaf{leaf}"


def images_key(layer: LayerShape, view: View, n_images: int) -> str:
    """Return the key of what is kept of a layer's first images on the last of its splits."""
    return _digest(32, layer.fingerprints[-1], layer.model, layer.layer, view, n_images, IMAGES_VERSION)


def images_work_key(layers: Iterable[LayerShape], split: SplitShape, view: View, what: str, leaf: int) -> str:
    """Return the key of work in progress on the images of a leaf, all layers together; `what` says which work."""
    of_all = _digest(24, [_layer(layer) for layer in layers], _split(split), view, what, IMAGES_VERSION)
    return f"{of_all}-{what}{leaf}"


def _digest(length: int, *parts: Any) -> str:
    """Return the first hex digits of SHA-256 over the parts' JSON; what JSON does not know is refused."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:length]


def _layer(layer: LayerShape) -> Sequence[Any]:
    grid = layer.tokens
    return (
        layer.model,
        layer.layer,
        layer.fingerprints,
        layer.shape,
        layer.itemsize,
        layer.chunk_samples,
        grid,
    )


def _split(split: SplitShape) -> Sequence[Any]:
    groups = () if split.groups is None else (split.groups,)
    return split.dataset, split.name, split.row_groups, *groups


def _tile(tile: Tile) -> Sequence[Any]:
    return tile.view, tile.grid, tile.formed_on, tile.sources, tile.targets, tile.mutual


def _band(band: Band) -> Sequence[Any]:
    return band.tile, band.sources, band.targets


def _chunk(chunk: Chunk) -> Sequence[Any]:
    return (
        chunk.tile,
        chunk.band,
        chunk.sources,
        chunk.targets,
        hashlib.sha256(chunk.pairs.tobytes()).hexdigest(),
    )


def _own(own: Own) -> Sequence[Any]:
    return own.view, own.layer, own.grid


def _space(space: Space) -> Sequence[Any]:
    operands = [(operand.layer, operand.kind) for operand in space.operands]
    return space.view, space.grid, operands, space.leaf_samples, space.coordinates
