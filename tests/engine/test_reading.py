"""Samples of a leaf are read in one order, one layer's values ahead of their use, and errors come where they belong."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from stitchpipe.engine.moments.reading import ahead, blocks_of
from stitchpipe.engine.planning.shapes import Piece

BOUNDS = ((0, 7), (7, 12), (12, 19))


def pieces(*row_groups):
    return [Piece(number, *BOUNDS[number]) for number in row_groups]


class Stored:
    """Row groups of a layer, cut into chunks of some rows as a store would; notes which row groups were begun."""

    def __init__(self, layer: int, chunk: int) -> None:
        self.chunk, self.begun = chunk, []
        self.values = 100 * layer + np.arange(BOUNDS[-1][1], dtype=np.float32)

    def blocks(self, row_group, samples, *, rows):
        start, stop = rows
        assert rows == BOUNDS[row_group]
        size = max(samples // self.chunk, 1) * self.chunk
        for at in range(start, stop, size):
            self.begun.append(row_group)
            yield self.values[at : min(at + size, stop)].copy()


@pytest.mark.parametrize("samples", [1, 2, 3, 4, 8])
def test_every_layer_comes_in_the_same_blocks_whatever_its_chunks_are(samples):
    readers = {layer: Stored(layer, chunk) for layer, chunk in ((3, 1), (0, 2), (7, 5))}
    found = [
        (size, [(layer, values.tolist()) for layer, values in block])
        for size, block in blocks_of(readers, pieces(0, 2), samples)
    ]
    expected = []
    for start, stop in (BOUNDS[0], BOUNDS[2]):
        for at in range(start, stop, samples):
            rows = slice(at, min(at + samples, stop))
            held = [(layer, reader.values[rows].tolist()) for layer, reader in readers.items()]
            expected.append((rows.stop - rows.start, held))
    assert found == expected


def test_one_item_is_made_while_another_is_used_and_no_more():
    made = [threading.Event() for _ in range(4)]
    makers = set()

    def items():
        for number, event in enumerate(made):
            makers.add(threading.current_thread())
            event.set()
            yield number

    coming = ahead(items())
    for number in range(3):
        assert next(coming) == number
        assert made[number + 1].wait(timeout=60)  # while this one is in use
        assert not any(event.is_set() for event in made[number + 2 :])
    assert list(coming) == [3]
    assert len(makers) == 1
    assert threading.current_thread() not in makers


def test_an_error_comes_in_place_of_the_item_that_it_prevented():
    def items():
        yield 1
        yield 2
        raise OSError("torn")

    coming = ahead(items())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(OSError, match="torn"):
        next(coming)


def test_a_reader_that_is_left_early_leaves_no_thread():
    before = threading.active_count()
    readers = {0: Stored(0, 2)}
    for _ in range(3):
        blocks = blocks_of(readers, pieces(0, 1, 2), 2)
        _, block = next(blocks)
        next(iter(block))
        blocks.close()
        assert threading.active_count() == before
    assert set(readers[0].begun) == {0}  # the row groups behind it were never opened
