"""The cells of a certification: what is simulated in each, and in which order they are worked."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from stitchpipe.certification.regimes import REGIMES
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stitchpipe.certification.regimes import View

Kind: TypeAlias = Literal["intervals", "nulls"]

BLOCK: Final = 50
"""Repeats that are worked, and kept, together."""
REPEATS: Final = 1000
"""Of a cell: the 95 % interval of a coverage of 95 % is ±1.4 then, that of 5 % of false findings the same."""
LARGE: Final = 20
"""Layers from which on a null zoo has as few repeats as `REPEATS_OF_LARGE`."""
REPEATS_OF_LARGE: Final = 400
"""Enough to tell 6 % of false findings from 10 %: a zoo of 50 layers takes twenty times what one of two takes."""
VIEWS: Final[dict[Kind, tuple[View, ...]]] = {
    "intervals": ("pooled", "flatten", "positions"),
    "nulls": ("pooled", "flatten"),
}
"""Rows that are positions are not exchangeable: there is no null of them."""


class CertificationError(ExplainedError, ValueError):
    """A certification of nothing, or of what cannot be simulated."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One population, and one question about it.

    Attributes
    ----------
    kind
        ``intervals``: two layers that see the same images. ``nulls``: two models that see different ones.
    regime, view
        See `stitchpipe.certification.regimes`.
    n
        Images.
    width
        Features of a row.
    layers
        Of both models together; 2 of intervals.
    """

    kind: Kind
    regime: str
    view: View
    n: int
    width: int
    layers: int

    @property
    def name(self) -> str:
        """As in records and files."""
        regime = self.regime.replace(" ", "-")
        return f"{self.kind}-{regime}-{self.view}-n{self.n}-p{self.width}-l{self.layers}"

    def seed(self, seed: int, block: int) -> list[int]:
        """Return what the random numbers of a block follow from: the same on every machine and in any order."""
        return [seed, block, int.from_bytes(sha256(self.name.encode()).digest()[:4], "big")]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a certification simulates.

    Attributes
    ----------
    n
        Numbers of images.
    widths
        Features of a row; those of flattened layers are divided by the positions.
    zoos
        Layers of the two models of a null zoo together.
    repeats
        Of each cell; None for `REPEATS`, and `REPEATS_OF_LARGE` of zoos of `LARGE` layers and more.
    seed
        Of all random numbers.
    """

    n: tuple[int, ...] = (200, 1000)
    widths: tuple[int, ...] = (16, 64)
    zoos: tuple[int, ...] = (2, 5, 50)
    repeats: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "multiples of 20 images, from 100: an interval leaves out one of twenty equal groups": bool(
                self.n
            )
            and all(n >= 100 and n % 20 == 0 for n in self.n),
            "widths that are multiples of 4, from 4": all(p >= 4 and p % 4 == 0 for p in self.widths)
            and bool(self.widths),
            "zoos of at least 2 layers": all(layers >= 2 for layers in self.zoos),
            f"repeats in multiples of {BLOCK}": self.repeats is None
            or (self.repeats >= BLOCK and self.repeats % BLOCK == 0),
        }
        for expected, holds in checks.items():
            if not holds:
                raise CertificationError(
                    where="certify",
                    expected=expected,
                    found=f"n = {self.n}, widths = {self.widths}, zoos = {self.zoos}, repeats = {self.repeats}",
                    remedy="Choose others, or leave the options out.",
                )

    def cells(self) -> list[Cell]:
        """Return all cells: intervals at every size, nulls at the smallest of each, for every zoo.

        A permutation test is exact at any size, and what a closed form leaves out of a null shrinks as images are
        added, so that nulls are simulated where they are worst.
        """
        intervals = [
            Cell("intervals", regime, view, n, width, 2)
            for n in self.n
            for width in self.widths
            for regime in REGIMES
            for view in VIEWS["intervals"]
        ]
        nulls = [
            Cell("nulls", regime, view, min(self.n), min(self.widths), layers)
            for layers in self.zoos
            for regime in REGIMES
            for view in VIEWS["nulls"]
        ]
        return [*intervals, *nulls]

    def repeats_of(self, cell: Cell) -> int:
        """Return how many repeats a cell has."""
        if self.repeats is not None:
            return self.repeats
        return REPEATS_OF_LARGE if cell.layers >= LARGE else REPEATS

    def blocks(self) -> Iterator[tuple[Cell, int]]:
        """Yield the blocks of all cells, one of each cell before the second of any: cut short, none is left out."""
        counts = {cell: self.repeats_of(cell) // BLOCK for cell in self.cells()}
        for block in range(max(counts.values())):
            for cell, count in counts.items():
                if block < count:
                    yield cell, block
