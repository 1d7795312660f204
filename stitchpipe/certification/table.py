"""What a certification comes to, in Markdown: a line for each index and null, a column for each cell."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.certification.regimes import REGIMES
from stitchpipe.certification.verdicts import COVERAGE, SIZE, Share, coverage_word, size_word
from stitchpipe.registry import index_measure, indices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stitchpipe.certification.cells import Cell, Kind
    from stitchpipe.certification.certification import Block
    from stitchpipe.certification.verdicts import Word

SIGNS: Final[Mapping[Word, str]] = {
    "within": "",
    "over-covers": " ↑",
    "under-covers": " ↓",
    "too often": " ✗",
    "too few repeats": " ?",
}
NULLS: Final = {
    "permuted": "permuted images",
    "exact": "closed form, three exact moments",
    "spectral": "closed form, the third moment of the spectra",
}


def certification_page(blocks: Sequence[Block]) -> str:
    """Return the tables of all blocks that are there, as a part of a page."""
    cells = summed(blocks)
    spent_s = sum(block.processor_s for block in blocks)
    counts = [int(of["repeats"]) for of_cell in cells.values() for of in of_cell.values() if of]
    told = (
        f"{len(cells)} cells, {min(counts, default=0)} to {max(counts, default=0)} repeats each, "
        f"{spent_s / 60:.0f} processor minutes."
    )
    parts = [told, _legend()]
    for n, width in sorted({(cell.n, cell.width) for cell in cells if cell.kind == "intervals"}):
        chosen = {cell: of for cell, of in cells.items() if _is(cell, "intervals", n, width)}
        parts += [f"**Intervals, {n} images, {width} features**", _intervals(chosen)]
        pooled = {
            block.cell: block.limits
            for block in blocks
            if block.cell in chosen and block.cell.view == "pooled"
        }
        title = f"**What the mean number / the mean of `corrected` is off by, pooled, {n} images, {width} features**"
        parts += [title, _corrections({cell: chosen[cell] for cell in pooled}, pooled)]
    for layers in sorted({cell.layers for cell in cells if cell.kind == "nulls"}):
        chosen = {cell: of for cell, of in cells.items() if cell.kind == "nulls" and cell.layers == layers}
        some = next(iter(chosen))
        parts += [
            f"**Nulls, zoos of {layers} layers, {some.n} images, {some.width} features**",
            _nulls(chosen),
        ]
    return "\n\n".join(parts) + "\n"


def summed(blocks: Sequence[Block]) -> dict[Cell, dict[str, dict[str, float]]]:
    """Return the counts of each cell over its blocks; of what has no number in some block nothing."""
    cells: dict[Cell, dict[str, dict[str, float]]] = {}
    for block in blocks:
        of_cell = cells.setdefault(block.cell, {})
        for name, counts in block.counts.items():
            total = of_cell.setdefault(name, {})
            for what, count in counts.items():
                total[what] = total.get(what, 0) + count
    for block in blocks:
        for name, counts in block.counts.items():
            if not counts:
                cells[block.cell][name] = {}
    return cells


def verdicts(blocks: Sequence[Block]) -> Counter[Word]:
    """Return how many cells of an index, or of a null, there are of each word."""
    words: Counter[Word] = Counter()
    for cell, of_cell in summed(blocks).items():
        for counts in of_cell.values():
            if counts and cell.kind == "intervals":
                words[coverage_word(_share(counts, "held"))] += 1
            elif counts:
                words[size_word(_share(counts, "found"))] += 1
    return words


def _is(cell: Cell, kind: Kind, n: int, width: int) -> bool:
    return (cell.kind, cell.n, cell.width) == (kind, n, width)


def _legend() -> str:
    low, high = (100 * end for end in COVERAGE)
    return (
        f"Per cent. Of intervals: how many of nominally 95 % hold what they are for, {low:g} to {high:g} wanted; ↑ "
        f"holds it too often, ↓ too rarely. Of nulls: in how many zoos anything has a family-wise p of .05 or less, "
        f"{100 * SIZE:g} wanted at most; ✗ more. ? too few repeats to say. Each judged by a 95 % interval of the share "
        "itself. – no number there."
    )


def _intervals(cells: Mapping[Cell, Mapping[str, Mapping[str, float]]]) -> str:
    about = {"population": "estimate", "sample": "value"}

    def line(name: str) -> list[str]:
        rule = index_measure(name).interval
        return [f"`{name}`", "" if rule is None else about[rule]]

    def told(cell: Cell, name: str) -> str:
        return _cell(cells[cell].get(name, {}), "held", coverage_word)

    return _table(["index", "about"], _names(cells), cells, line, told)


def _corrections(
    cells: Mapping[Cell, Mapping[str, Mapping[str, float]]], limits: Mapping[Cell, Mapping[str, Any]]
) -> str:
    """Return how far numbers are from what ever more images would tend to, with their bias and without it."""

    def line(name: str) -> list[str]:
        return [f"`{name}`"]

    def told(cell: Cell, name: str) -> str:
        counts, population = cells[cell].get(name, {}), limits[cell]["population"].get(name)
        if not counts or population is None:
            return "–"
        off = (counts[what] / counts["repeats"] - population for what in ("value", "corrected"))
        return " / ".join(f"{error:+.3f}" for error in off)

    return _table(["index"], _names(cells), cells, line, told)


def _names(cells: Mapping[Cell, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """Return the indices that occur, or indices with nulls, in the registry's order."""
    order = list(indices()[0])
    occurring = dict.fromkeys(name for of_cell in cells.values() for name in of_cell)
    return sorted(occurring, key=lambda name: order.index(name.partition(" ")[0]))


def _nulls(cells: Mapping[Cell, Mapping[str, Mapping[str, float]]]) -> str:

    def line(name: str) -> list[str]:
        index, _, null = name.rpartition(" ")
        return [f"`{index}`", NULLS[null]]

    def told(cell: Cell, name: str) -> str:
        return _cell(cells[cell].get(name, {}), "found", size_word)

    return _table(["index", "null"], _names(cells), cells, line, told)


def _table(
    heads: list[str],
    names: Sequence[str],
    cells: Iterable[Cell],
    line: Callable[[str], list[str]],
    told: Callable[[Cell, str], str],
) -> str:
    ordered = sorted(cells, key=lambda cell: (cell.view, list(REGIMES).index(cell.regime)))
    lines = [
        [*heads, *(f"{cell.view}, {cell.regime}" for cell in ordered)],
        [*("---" for _ in heads), *("---:" for _ in ordered)],
    ]
    lines += [[*line(name), *(told(cell, name) for cell in ordered)] for name in names]
    return "\n".join(f"| {' | '.join(of_line)} |" for of_line in lines)


def _cell(counts: Mapping[str, float], what: str, word: Callable[[Share], Word]) -> str:
    if not counts:
        return "–"
    share = _share(counts, what)
    return f"{100 * share.value:.1f}{SIGNS[word(share)]}"


def _share(counts: Mapping[str, float], what: str) -> Share:
    return Share(int(counts[what]), int(counts["repeats"]))
