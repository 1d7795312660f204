"""The indices of one pair, from its decompositions: a value, or the refusal that says why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from stitchpipe.algebra.description import IndexValue
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.registry import index_measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.engine.planning.tiles import Pair

PairIndex: TypeAlias = tuple["Pair", str]
"""An index of a pair."""
Values: TypeAlias = dict[PairIndex, IndexValue | UndefinedIndexError]


def evaluate(values: Values, pair: Pair, analysis: Analysis, names: Sequence[str]) -> None:
    """Add every index of a pair to the values; a symmetric one is taken from the pair's other direction.

    A refusal is not: it says which side is at fault.
    """
    for name in names:
        back = values.get((pair[::-1], name)) if index_measure(name).symmetric else None
        values[pair, name] = back if isinstance(back, IndexValue) else _value(analysis, name)


def _value(analysis: Analysis, name: str) -> IndexValue | UndefinedIndexError:
    try:
        return analysis.value(name)
    except UndefinedIndexError as undefined:
        return undefined
