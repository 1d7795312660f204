"""What moments must agree in before they are put together, and when they have overflowed."""

from __future__ import annotations

from stitchpipe.algebra.errors import MomentsError
from stitchpipe.algebra.inputs import Array, namespace


def rows_left(n: int, part: int) -> int:
    """Return how many of n rows are left without those of a part. Raises MomentsError where none is."""
    if part >= n:
        raise MomentsError(
            where="moments",
            expected=f"fewer than {n} rows to leave out",
            found=str(part),
            remedy="Leave out a part of the rows that were merged.",
        )
    return n - part


def finite(comoment: Array) -> Array:
    """Return sums of products as they are. Raises MomentsError where they overflowed."""
    xp = namespace(comoment)
    if not bool(xp.all(xp.isfinite(comoment))):
        raise overflow("sums of products")
    return comoment


def overflow(where: str) -> MomentsError:
    """Return the refusal of values that are too large."""
    return MomentsError(
        where=where,
        expected="values whose fourth powers fit into float64",
        found="an overflow",
        remedy="Rescale the representation; the indices do not depend on its scale.",
    )


def same_widths(expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    """Raise MomentsError where moments are of other columns."""
    if tuple(expected) != tuple(found):
        raise MomentsError(
            where="moments",
            expected=f"widths {tuple(expected)}",
            found=f"widths {tuple(found)}",
            remedy="Merge only moments of the same columns.",
        )
