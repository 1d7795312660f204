"""Whether two representations hold the same samples, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import PairingError

if TYPE_CHECKING:
    from storage.reading.representation import Representation


def check_pairing(a: Representation, b: Representation) -> None:
    """Refuse two representations unless row i of one and row i of the other are the same sample.

    Raises
    ------
    PairingError
        The sample ids differ (the message says where first), or the row groups do.

    Notes
    -----
    O(1) where they agree: two digests are compared.
    """
    where = f"{a.address} and {b.address}"
    if a.sample_digest != b.sample_digest:
        raise PairingError(
            where=where,
            expected="the same samples in the same order",
            found=_first_difference(a.split.sample_ids, b.split.sample_ids),
            remedy="Dump both over one split of the store.",
        )
    if a.row_groups != b.row_groups:
        raise PairingError(
            where=where,
            expected="the same row groups",
            found=f"{len(a.row_groups)} and {len(b.row_groups)} of {a.row_groups[0][1]} and {b.row_groups[0][1]} rows",
            remedy="Add both splits with the same number of row groups, or dump both over one split.",
        )


def _first_difference(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Return where two lists of ids part."""
    for row, (left_id, right_id) in enumerate(zip(left, right, strict=False)):
        if left_id != right_id:
            return f"row {row} is {left_id!r} in one and {right_id!r} in the other"
    return f"{len(left)} samples in one and {len(right)} in the other"
