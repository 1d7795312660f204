"""Sources in memory, shared by all trainings that read them."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from stitchpipe.rows import Grid, n_positions
from stitchpipe.stitching.resize import Resize

if TYPE_CHECKING:
    import numpy.typing as npt

    from storage import Representation, RowGroupReader

Grids: TypeAlias = "tuple[Grid, Grid]"

HELD_BYTES = 256 * 2**20
"""Sources that take no more than this are read once and kept. No number depends on it."""

_FLOAT_BYTES = 4


class SourceCache:
    """Representations in memory; the longest unused ones go first.

    Parameters
    ----------
    limit_bytes
        Of all together. What does not fit on its own streams from the store in every epoch.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit = HELD_BYTES if limit_bytes is None else limit_bytes
        self._held: OrderedDict[tuple[str, Grids | None], tuple[int, _Held]] = OrderedDict()

    def reader(self, source: Representation, grids: Grids | None = None) -> RowGroupReader:
        """Return what reads a representation, each row group once if all fit into memory.

        Parameters
        ----------
        grids
            Its own and the one that it is brought to as it is read, in float32; default: as stored.
        """
        reader = source if grids is None else _Resized(source, grids)
        # The digest and not the address is the key: the same content under two names is held once.
        size, key = size_bytes(source, grids), (source.digest, grids)
        if size > self._limit:
            return reader
        if key not in self._held:
            # The longest unused ones make room; the order of the mapping is that of their last use.
            while self._held and size + sum(held for held, _ in self._held.values()) > self._limit:
                self._held.popitem(last=False)
            self._held[key] = (size, _Held(reader))
        self._held.move_to_end(key)
        return self._held[key][1]


def size_bytes(source: Representation, grids: Grids | None = None) -> int:
    """Return how much memory a representation takes, as stored or brought to another grid."""
    values = prod(source.shape)
    if grids is None:
        return values * source.dtype.itemsize
    before, after = (n_positions(grid) for grid in grids)
    # The number of values goes with the number of positions, and a source that is resized is float32
    # whatever it was stored as.
    return values // before * after * _FLOAT_BYTES


class _Held:
    """Row groups that are read when they are first asked for, by whichever thread, and kept."""

    def __init__(self, source: RowGroupReader) -> None:
        self.row_groups = source.row_groups
        self._source = source
        self._blocks: dict[int, npt.NDArray[Any]] = {}
        self._lock = Lock()

    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return one row group's rows."""
        # Several trainings read from threads of their own. The lock lets the second one wait for a row
        # group that the first is reading.
        with self._lock:
            if row_group not in self._blocks:
                self._blocks[row_group] = self._source.read(row_group)
            return self._blocks[row_group]


class _Resized:
    """A representation on another grid, float32."""

    def __init__(self, source: Representation, grids: Grids) -> None:
        self.row_groups = source.row_groups
        self._source, self._resize = source, Resize(*grids)

    @torch.inference_mode()
    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return one row group's rows."""
        stored = torch.from_numpy(self._source.read(row_group))
        resized: torch.Tensor = self._resize(stored.float())
        return resized.numpy()
