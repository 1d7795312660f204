"""The first samples of a representation, read as it is: which those are was drawn when the split was cut."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

HELD_BYTES = 256 * 2**20
"""Samples that take no more than this are read once and kept. No number depends on it."""


class Stored(Protocol):
    """What is read by row groups, in the order of its samples."""

    @property
    def row_groups(self) -> tuple[tuple[int, int], ...]:
        """``(start, stop)`` of each."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples, …)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored."""

    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return one row group's samples."""


class FirstSamples:
    """At most `count` samples of a stored representation.

    The order of a store is a seeded hash of sample ids, so that the first of a split are a random choice of it.

    Notes
    -----
    Holds them where they take at most `HELD_BYTES`; otherwise each epoch reads their row groups anew.
    """

    def __init__(self, stored: Stored, count: int) -> None:
        self._stored = stored
        self.n_samples = min(count, stored.shape[0])
        self.shape = (self.n_samples, *stored.shape[1:])
        # The last row group that holds some of the samples may be cut, and those behind it are left out.
        self.row_groups = tuple(
            (start, min(stop, self.n_samples)) for start, stop in stored.row_groups if start < self.n_samples
        )

    def read(self, row_group: int) -> npt.NDArray[Any]:
        """Return the samples of a row group that are among the first."""
        if prod(self.shape) * self._stored.dtype.itemsize <= HELD_BYTES:
            return self._held[row_group]
        return self._read(row_group)

    @cached_property
    def _held(self) -> list[npt.NDArray[Any]]:
        return [self._read(row_group) for row_group in range(len(self.row_groups))]

    def _read(self, row_group: int) -> npt.NDArray[Any]:
        start, stop = self.row_groups[row_group]
        return self._stored.read(row_group)[: stop - start]
