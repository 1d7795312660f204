"""What the engine must know of layers and splits to plan: names, shapes, sizes. Nothing is opened here."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from stitchpipe.rows import grid_of

if TYPE_CHECKING:
    from stitchpipe.rows import Grid

LEAVES = 20
"""Leaves of the merge tree per split at most, and groups of the jackknife: workers and memory never change them."""

STORAGE_EPS = {4: 2.0**-23, 2: 2.0**-10, 8: 2.0**-52}
"""Relative spacing of stored numbers by item size: directions below it are rounding, not representation."""


@dataclass(frozen=True, slots=True)
class LayerShape:
    """A layer as the plan sees it.

    Attributes
    ----------
    fingerprints
        Of its dumps, one per split of the plan.
    chunk_samples
        How many samples are stored, read and checked as one.
    tokens
        The grid of ``(T, D)`` where its patches are not those of a square.
    """

    model: str
    layer: str
    fingerprints: tuple[str, ...]
    shape: tuple[int, ...]
    itemsize: int
    chunk_samples: int = 1
    tokens: Grid | None = None

    @property
    def grid(self) -> Grid:
        """Return the grid of its positions."""
        return grid_of(self.shape, self.tokens)

    @property
    def sample_bytes(self) -> int:
        """Return the bytes of one stored sample, before compression."""
        return self.itemsize * prod(self.shape)


@dataclass(frozen=True, slots=True)
class SplitShape:
    """A split's size: its row groups, as (start, stop)."""

    dataset: str
    name: str
    row_groups: tuple[tuple[int, int], ...]

    @property
    def n_samples(self) -> int:
        """Return the number of samples."""
        return self.row_groups[-1][1]

    def leaves(self) -> tuple[tuple[int, ...], ...]:
        """Return the row groups of each leaf: contiguous, in order, as even as can be."""
        count = len(self.row_groups)
        leaves = min(LEAVES, count)
        edges = [count * leaf // leaves for leaf in range(leaves + 1)]
        return tuple(tuple(range(a, b)) for a, b in itertools.pairwise(edges))

    def samples_of(self, leaf: tuple[int, ...]) -> int:
        """Return how many samples the row groups of a leaf hold."""
        return sum(self.row_groups[group][1] - self.row_groups[group][0] for group in leaf)
