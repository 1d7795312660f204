"""Which pairs share a reading of their layers, where not all moments fit into memory at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.engine.planning.designs import MOST_BLOCKS, blocks, couples, designs, one_pass
from stitchpipe.engine.planning.pairs import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stitchpipe.engine.planning.designs import Design, Numbers
    from stitchpipe.engine.planning.pairs import Matrix, Wanted
    from stitchpipe.rows import View

Partners: TypeAlias = "tuple[tuple[Matrix, Numbers], tuple[Matrix, Numbers]]"
"""Of sources, and of targets: distinct sets of partners ``[sets, layers]``, and which of them each layer has."""


@dataclass(frozen=True, eq=False, slots=True)
class Dealt:
    """Pairs dealt out to passes by blocks of their layers: no list of pairs is made, of which there may be millions.

    Attributes
    ----------
    together
        Whether all views share passes, or each has its own.
    """

    design: Design
    wanted: Wanted
    together: bool = True

    def bytes_read(self, sample_bytes: Numbers, partners: Mapping[View, Partners] | None = None) -> int:
        """Return the bytes that one sample costs: Σ over passes of the layers of each.

        `partners` are those of the pairs under each view, where they are known already.
        """
        partners = partners or partners_of(self.wanted, len(sample_bytes))
        total, count, apart = 0, len(sample_bytes), max(1, len(self.wanted))
        block, table, meetings = self.design.block[:count], self.design.table, []
        for number, name in enumerate(self.wanted):
            view = 0 if self.together else number
            for (kinds, of_layers), passes in zip(partners[name], (table, table.T), strict=True):
                meetings.append((view, passes, self._by_block(kinds, np.logical_or), of_layers))
        for start in range(0, count, _LAYERS):
            mine, seen = slice(start, start + _LAYERS), [np.zeros(0, np.int64)]
            for view, passes, meets, of_layers in meetings:
                layer, other = np.nonzero(meets[of_layers[mine]])
                of_pass = passes[block[mine][layer], other].astype(np.int64)
                seen.append((of_pass * apart + view) * _LAYERS + layer)
            keys = np.concatenate(seen)
            if len(keys):
                total += int(sample_bytes[mine][_distinct(keys) % _LAYERS].sum())
        return total

    def least_products(self, widths: Mapping[View, Numbers]) -> float:
        """Return how many numbers the products of some pass are at least: one serves two pairs at most."""
        most = [0.0]
        sums = np.zeros(int(self.design.table.max()) + 1)
        for view, pairs in self.wanted.items():
            of_layers = widths[view].astype(np.float64)
            of_blocks = np.zeros(self.design.table.shape)
            for start in range(0, len(of_layers), _LAYERS):
                mine = slice(start, start + _LAYERS)
                rows = self._by_block(pairs.among(len(of_layers))[mine] * of_layers, np.add)
                np.add.at(of_blocks, self.design.block[: len(of_layers)][mine], rows * of_layers[mine, None])
            of_view = np.bincount(self.design.table.ravel(), of_blocks.ravel(), len(sums))
            sums += of_view
            most.append(float(of_view.max()))
        return (float(sums.max()) if self.together else max(most)) / 2

    def passes(self) -> Iterator[Wanted]:
        """Yield the pairs of each pass, by view; passes without a pair are left out."""
        table, block = self.design.table, self.design.block
        for number in np.unique(table).tolist():
            meeting = table == number
            here = np.flatnonzero((meeting.any(axis=0) | meeting.any(axis=1))[block])
            chosen = meeting[np.ix_(block[here], block[here])]
            of_pass = {}
            for view, pairs in self.wanted.items():
                matrix = np.zeros((len(block), len(block)), np.bool_)
                matrix[np.ix_(here, here)] = pairs.among(len(block))[np.ix_(here, here)] & chosen
                if matrix.any():
                    of_pass[view] = Pairs(matrix)
            if self.together:
                yield from [of_pass] if of_pass else []
            else:
                yield from ({view: pairs} for view, pairs in of_pass.items())

    def _by_block(self, rows: npt.NDArray[Any], merge: np.ufunc) -> npt.NDArray[Any]:
        """Return the columns of some rows ``[m, layers]`` merged by the block of each: ``[m, blocks]``."""
        n_blocks, block = len(self.design.table), self.design.block[: rows.shape[1]]
        order = np.argsort(block, kind="stable")
        there, starts = np.unique(block[order], return_index=True)
        merged = np.zeros((len(rows), n_blocks), rows.dtype)
        if len(starts):
            merged[:, there] = merge.reduceat(rows[:, order], starts, axis=1)
        return merged


_LAYERS = 512
"""Of so many layers the pairs are looked at together."""


def partners_of(wanted: Wanted, layers: int) -> dict[View, Partners]:
    """Return the partners of each layer as a source and as a target: each distinct set once, for few layers differ."""
    matrices = {view: pairs.among(layers) for view, pairs in wanted.items()}
    return {
        view: (_distinct_rows(matrix), _distinct_rows(np.ascontiguousarray(matrix.T)))
        for view, matrix in matrices.items()
    }


def _distinct_rows(matrix: Matrix) -> tuple[Matrix, Numbers]:
    """Return the distinct rows of a matrix, and which of them each row is."""
    places: dict[bytes, int] = {}
    of_rows = [places.setdefault(np.packbits(row).tobytes(), len(places)) for row in matrix]
    of_all = np.array(of_rows, np.int64)
    _, first = np.unique(of_all, return_index=True)
    return matrix[first], of_all


def _distinct(numbers: Numbers) -> Numbers:
    """Return the distinct ones of numbers that are not negative; small ones without sorting them."""
    most = int(numbers.max()) + 1
    if most > _MARKED:
        return np.unique(numbers)
    marks = np.zeros(most, np.bool_)
    marks[numbers] = True
    return np.flatnonzero(marks)


_MARKED = 2**26
"""Numbers below this are told apart by marks in an array."""


def dealings(sample_bytes: Sequence[int], weights: Sequence[int], wanted: Wanted) -> Iterator[Dealt]:
    """Yield ways to deal pairs out to passes, from the least reading to the most.

    Parameters
    ----------
    sample_bytes
        What reading one sample of each layer costs.
    weights
        The width of each layer: blocks are balanced by it.
    wanted
        The pairs.

    Notes
    -----
    Time O(pairs · log pairs) for each of a few dozen.
    """
    # Nothing reads less than one pass, and where it fits nothing else needs to be weighed.
    count = len(sample_bytes)
    yield Dealt(one_pass(count), wanted)
    asked = {view: pairs for view, pairs in wanted.items() if pairs}
    if not asked:
        return
    sizes = np.array(sample_bytes, np.int64)
    partners = partners_of(asked, count)
    everything = reduce(or_, asked.values(), Pairs.of([], count))
    ways = [
        (dealt.bytes_read(sizes, partners), number, dealt)
        for number, design in enumerate((one_pass(count), *designs(weights, everything)))
        for together in ((True, False) if len(asked) > 1 else (True,))
        if number or not together
        for dealt in [Dealt(design, asked, together)]
    ]
    yield from (dealt for _, _, dealt in sorted(ways, key=lambda way: way[:2]))
    if len(everything.layers) > MOST_BLOCKS:
        # Layer by layer: nothing holds less or reads more.
        layers = everything.layers
        yield Dealt(couples(len(layers), blocks(weights, layers, len(layers))), asked)
