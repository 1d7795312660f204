"""What cells take, told before they are worked: fitted to measurements, on one thread of a server of 2023."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from stitchpipe.certification.cells import BLOCK
from stitchpipe.certification.intervals import GROUPS, MEAN_REPEATS, TRUTH_IMAGES
from stitchpipe.certification.regimes import POSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stitchpipe.certification.blocks import Block
    from stitchpipe.certification.cells import Cell


def planned_s(cell: Cell, *, with_limits: bool) -> float:
    """Return about how many processor seconds a block of a cell takes.

    Parameters
    ----------
    with_limits
        Whether what its intervals are held against is formed too, as with the first block of a cell.
    """
    if cell.kind == "nulls":
        return BLOCK * (0.004 + 2.6e-7 * cell.layers * cell.n**2)
    # Of a pair, whose decompositions grow with the cube of the width, and of drawing a number of a row.
    a_pair, a_number = 2.4e-4 + 1.05e-8 * cell.width**3, 1e-7
    numbers = cell.width * (POSITIONS if cell.view == "positions" else 1)
    repeats = BLOCK * ((GROUPS + 1) * a_pair + a_number * numbers * cell.n)
    limits = MEAN_REPEATS * a_pair + a_number * numbers * (TRUTH_IMAGES + MEAN_REPEATS * cell.n)
    return repeats + (limits if with_limits else 0.0)


def left_s(missing: Iterable[tuple[Cell, int]], known: Sequence[Block]) -> float:
    """Return about how many processor seconds blocks take that are missing.

    Cells of which blocks are known take what those took, where that is not the time of forming their limits.
    """
    taken: Mapping[Cell, list[float]] = defaultdict(list)
    for block in known:
        if block.number or block.cell.kind == "nulls":
            taken[block.cell].append(block.processor_s)
    have_limits = {block.cell for block in known}
    total = 0.0
    for cell, _ in missing:
        own = taken.get(cell)
        total += sum(own) / len(own) if own else planned_s(cell, with_limits=cell not in have_limits)
        have_limits.add(cell)
    return total
