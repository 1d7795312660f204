"""The indices of one pair, from its decompositions: a value, or the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra import Analysis, Index
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.measures import Number

PairIndex: TypeAlias = "tuple[Pair, str]"
"""An index of a pair."""
Values: TypeAlias = "dict[PairIndex, Number]"


def evaluate(values: Values, pair: Pair, analysis: Analysis, indices: Sequence[Index]) -> None:
    """Add every index of a pair to the values; a symmetric one is taken from the pair's other direction.

    A refusal is not: it says which side is at fault.
    """
    for index in indices:
        back = values.get((pair[::-1], index.name)) if index.measure.symmetric else None
        values[pair, index.name] = index.number(analysis) if back is None or back.value is None else back
