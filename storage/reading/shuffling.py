"""Shuffled batches for training, at the granularity of shards: each is read once in an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from storage.errors import LayoutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt


class RowGroupReader(Protocol):
    """What is shuffled: something that is read by row groups."""

    @property
    def row_groups(self) -> tuple[tuple[int, int], ...]:
        """``(start, stop)`` of each row group."""

    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return one row group's rows."""


def shuffled_batches(
    source: RowGroupReader, batch_size: int, rng: np.random.Generator, *, window_row_groups: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
    """Return an iterator over one epoch; see `Representation.shuffled_batches`."""
    for name, value in (("batch_size", batch_size), ("window_row_groups", window_row_groups)):
        if value < 1:
            raise LayoutError(where=name, expected="at least 1", found=str(value), remedy="Raise it.")
    return _epoch(source, batch_size, rng, window_row_groups)


def _epoch(
    source: RowGroupReader, batch_size: int, rng: np.random.Generator, window: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
    """Yield batches window by window; what does not fill a batch is shuffled into the next window."""
    order = rng.permutation(len(source.row_groups))
    rows: list[npt.NDArray[np.int64]] = []
    blocks: list[npt.NDArray[Any]] = []
    for start in range(0, len(order), window):
        for group in order[start : start + window]:
            rows.append(np.arange(*source.row_groups[group], dtype=np.int64))
            blocks.append(source.read(int(group)))
        positions = np.concatenate(rows)
        shuffle = rng.permutation(len(positions))
        last = start + window >= len(order)
        full = len(positions) if last else len(positions) - len(positions) % batch_size
        for begin in range(0, full, batch_size):
            chosen = shuffle[begin : min(begin + batch_size, full)]
            yield positions[chosen], _rows_of(blocks, chosen)
        rows, blocks = [positions[shuffle[full:]]], [_rows_of(blocks, shuffle[full:])]


def _rows_of(blocks: Sequence[npt.NDArray[Any]], chosen: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return rows of the blocks as if they lay one behind the other: a window is never copied whole."""
    starts = np.cumsum([0, *(len(block) for block in blocks)])
    owners = np.searchsorted(starts, chosen, side="right") - 1
    rows = np.empty((len(chosen), *blocks[0].shape[1:]), dtype=blocks[0].dtype)
    for owner in np.unique(owners):
        places = np.flatnonzero(owners == owner)
        rows[places] = blocks[owner][chosen[places] - starts[owner]]
    return rows
