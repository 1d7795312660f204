"""Directed pairs of layers as a set: a bit for each two layers, because a zoo of 500 networks has 25 million pairs."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

    from stitchpipe.rows import View

Pair: TypeAlias = tuple[int, int]
"""Source and target, as indices of the plan's layers."""
Matrix: TypeAlias = npt.NDArray[np.bool_]


class Pairs(AbstractSet[Pair]):
    """A set of directed pairs of layers. Never changed; a byte of memory for each two layers.

    Parameters
    ----------
    matrix
        Which pairs are among them, ``[layers, layers]``, source first. It is not copied.
    """

    __slots__ = ("_matrix",)

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix

    @classmethod
    def of(cls, pairs: Iterable[Pair], layers: int = 0) -> Self:
        """Return the set of some pairs, among so many layers at least."""
        places = np.array(list(pairs), np.int64).reshape(-1, 2)
        count = max(layers, int(places.max(initial=-1)) + 1)
        matrix = np.zeros((count, count), np.bool_)
        matrix[tuple(places.T)] = True
        return cls(matrix)

    @classmethod
    def every(cls, layers: int) -> Self:
        """Return all pairs of so many layers."""
        return cls(np.ones((layers, layers), np.bool_))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Self:  # type: ignore[override]  # of pairs, and of nothing else
        return cls.of(it)

    def among(self, layers: int) -> Matrix:
        """Return which pairs of so many layers these are, ``[layers, layers]``, source first: to be looked at only."""
        count = len(self._matrix)
        if layers == count:
            return self._matrix
        matrix = np.zeros((layers, layers), np.bool_)
        most = min(layers, count)
        matrix[:most, :most] = self._matrix[:most, :most]
        return matrix

    @property
    def n_layers(self) -> int:
        """Among how many layers they are."""
        return len(self._matrix)

    @property
    def places(self) -> npt.NDArray[np.int32]:
        """The pairs ``[n, 2]``, source first, in order."""
        count = max(1, len(self._matrix))
        sources, targets = np.divmod(np.flatnonzero(self._matrix), count)
        return np.stack([sources, targets], axis=1).astype(np.int32)

    @property
    def layers(self) -> list[int]:
        """The layers that any pair has, in order."""
        return [int(layer) for layer in np.flatnonzero(self._matrix.any(axis=0) | self._matrix.any(axis=1))]

    def __len__(self) -> int:
        return int(np.count_nonzero(self._matrix))

    def __bool__(self) -> bool:
        return bool(self._matrix.any())

    def __iter__(self) -> Iterator[Pair]:
        for source, row in enumerate(self._matrix):
            for target in np.flatnonzero(row).tolist():
                yield source, target

    def __contains__(self, pair: object) -> bool:
        if not isinstance(pair, tuple):
            return False
        source, target = pair
        return max(source, target) < len(self._matrix) and bool(self._matrix[source, target])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Pairs):
            return bool(np.array_equal(*self._both(other)))
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as of every set that compares with others

    def __or__(self, other: AbstractSet[Any]) -> Pairs:
        mine, theirs = self._both(other)
        return Pairs(mine | theirs)

    def __and__(self, other: AbstractSet[Any]) -> Pairs:
        mine, theirs = self._both(other)
        return Pairs(mine & theirs)

    def __sub__(self, other: AbstractSet[Any]) -> Pairs:
        mine, theirs = self._both(other)
        return Pairs(mine & ~theirs)

    def __repr__(self) -> str:
        return f"Pairs({len(self)} of {len(self._matrix)} layers)"

    def _both(self, other: AbstractSet[Any]) -> tuple[Matrix, Matrix]:
        theirs = other if isinstance(other, Pairs) else Pairs.of(other)
        count = max(self.n_layers, theirs.n_layers)
        return self.among(count), theirs.among(count)


Wanted: TypeAlias = "Mapping[View, Pairs]"
"""The pairs to compare, by view."""
