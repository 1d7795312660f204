"""The samples of a leaf as they are read: block by block, one layer after the other, the next one meanwhile.

Files are read, checked and decoded without the interpreter's lock, and so are products formed: one thread reads while
another multiplies. What is read, and in which order, does not depend on which of them is faster.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from stitchpipe.engine.moments.shift import Stored
    from stitchpipe.engine.planning.shapes import Piece
    from storage import Representation

Item = TypeVar("Item")


def blocks_of(
    readers: Mapping[int, Representation],
    leaf: Sequence[Piece],
    samples: int,
) -> Iterator[tuple[int, Iterator[tuple[int, Stored]]]]:
    """Yield the pieces of a leaf block by block: a block's size, and each layer's values one after the other.

    Parameters
    ----------
    readers
        By layer, in the order in which they are read.
    leaf
        Its row groups, or parts of them.
    samples
        Of a block; the last of a piece may have fewer.

    Notes
    -----
    A block's layers must all be taken before the next block is asked for. Memory: the values that were handed out,
    those that are read meanwhile with their compressed bytes, and what stored chunks leave over for the next block.
    """
    sizes = [min(samples, stop - at) for _, start, stop in leaf for at in range(start, stop, samples)]
    with closing(ahead(_pieces(readers, leaf, samples))) as pieces:
        for size in sizes:
            yield size, islice(pieces, len(readers))


def ahead(items: Iterator[Item]) -> Generator[Item]:
    """Yield items; each is made in a thread while the one before it is in use.

    An error is raised in place of the item that it prevented. Memory: one item more than without, while it is made.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        following = thread.submit(_next, items)
        while item := following.result():
            following = thread.submit(_next, items)
            yield item.pop()


def _next(items: Iterator[Item]) -> list[Item]:
    """Return the next item in a list, which whoever takes it empties; an empty list at the end."""
    return list(islice(items, 1))


def _pieces(
    readers: Mapping[int, Representation], leaf: Sequence[Piece], samples: int
) -> Iterator[tuple[int, Stored]]:
    """Yield layers and their values in the order of blocks, and of layers within a block."""
    for piece in leaf:
        rows = piece.start, piece.stop
        blocks = {
            layer: _exact(reader.blocks(piece.row_group, samples, rows=rows), samples)
            for layer, reader in readers.items()
        }
        while blocks:
            for layer, of_layer in list(blocks.items()):
                following = _next(of_layer)
                if following:
                    yield layer, following.pop()
                else:
                    del blocks[layer]


def _exact(blocks: Iterator[Stored], samples: int) -> Iterator[Stored]:
    """Yield blocks of exactly `samples`, but for the last: stored chunks need not have as many rows.

    Holds what is left over of a chunk, and nothing of what was yielded.
    """
    held: list[Stored] = []  # one array at most
    while True:
        while not held or len(held[0]) < samples:
            following = list(islice(blocks, 1))
            if not following:
                yield from held
                return
            held = [np.concatenate([*held, *following])] if held else following
        if len(held[0]) == samples:
            yield held.pop()
        else:
            taken, rest = [held[0][:samples]], held.pop()[samples:]
            held = [rest if len(rest) >= samples else rest.copy()]
            del rest
            yield taken.pop()
