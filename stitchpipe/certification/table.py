"""What a certification comes to, in Markdown: a line for each index and null, a column for each cell."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stitchpipe.certification.regimes import REGIMES, copies_of
from stitchpipe.certification.verdicts import (
    COVERAGE,
    FAR_TOO_OFTEN,
    SIZE,
    Share,
    coverage_word,
    size_word,
)
from stitchpipe.registry import index_measure, indices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stitchpipe.certification.blocks import Block
    from stitchpipe.certification.cells import Cell, Kind
    from stitchpipe.certification.verdicts import Word

    Summed: TypeAlias = dict[Cell, dict[str, dict[str, float]]]
    """Of cells: by index, or index and null, what their blocks count together."""

SIGNS: Final[Mapping[Word, str]] = {
    "within": "",
    "over-covers": " ↑",
    "under-covers": " ↓",
    "too often": " ✗",
    "at a limit": " ≈",
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
    words = ", ".join(f"{count} {word}" for word, count in verdicts(blocks).most_common())
    told = f"{len(cells)} cells, {spent_s / 60:.0f} processor minutes. Shares, by index and cell: {words}."
    parts = [told, _legend(), *_over_all(cells)]
    for n, width in sorted({(cell.n, cell.width) for cell in cells if cell.kind == "intervals"}):
        chosen = {cell: of for cell, of in cells.items() if _is(cell, "intervals", n, width)}
        parts += [f"**Intervals, {n} images, {width} features, {_repeats(chosen)}**", _intervals(chosen)]
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
        sizes = f"{some.n} images, {some.width} features"
        parts += [f"**Nulls, zoos of {layers} layers, {sizes}, {_repeats(chosen)}**", _nulls(chosen)]
    return "\n\n".join(parts) + "\n"


def _repeats(cells: Summed) -> str:
    """Return how many repeats cells have, from the fewest to the most."""
    counts = {int(of["repeats"]) for of_cell in cells.values() for of in of_cell.values() if of}
    told = [f"{count:,}" for count in sorted({min(counts, default=0), max(counts, default=0)})]
    return f"{' to '.join(told)} repeats"


def _over_all(cells: Summed) -> list[str]:
    """Return the cells of every index counted by what they are called, the lowest and the highest coverage beside."""
    held: dict[str, list[Share]] = {}
    for cell, of_cell in cells.items():
        for name, counts in of_cell.items():
            if counts and cell.kind == "intervals":
                held.setdefault(name, []).append(_share(counts, "held"))
    if not held:
        return []
    order = list(indices()[0])
    lines = [
        ["index", "about", "within", "≈", "↑", "↓", "lowest", "highest"],
        ["---", "---", *["---:"] * 6],
    ]
    kinds: tuple[Word, ...] = ("within", "at a limit", "over-covers", "under-covers")
    for name in sorted(held, key=order.index):
        words = Counter(map(coverage_word, held[name]))
        values = sorted(100 * share.value for share in held[name])
        ends = [f"{values[0]:.1f}", f"{values[-1]:.1f}"]
        lines.append([*_of_index(name), *(str(words[kind]) for kind in kinds), *ends])
    return ["**All intervals: how many cells of an index are what**", _lines(lines)]


def summed(blocks: Sequence[Block]) -> Summed:
    """Return the counts of each cell over its blocks; of what has no number in some block, or no limits, nothing."""
    cells: Summed = {}
    for block in blocks:
        of_cell = cells.setdefault(block.cell, {})
        for name, counts in block.counts.items():
            total = of_cell.setdefault(name, {})
            for what, count in counts.items():
                total[what] = total.get(what, 0) + count
    for block in blocks:
        for name, counts in block.counts.items():
            if not counts or not _has_limits(block.cell, name):
                cells[block.cell][name] = {}
    return cells


def _has_limits(cell: Cell, name: str) -> bool:
    """Whether people get intervals of this index in such a cell; of a null, whether it is one."""
    if cell.kind == "nulls":
        return True
    copies = copies_of(cell.regime)
    return index_measure(name).has_limits(cell.width, cell.width, cell.n // copies if copies > 1 else None)


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
        "Per cent, ± half of the 95 % interval of the share itself (Wilson), by which each is judged. Of intervals: "
        f"how many of nominally 95 % hold what they are for, {low:g} to {high:g} wanted. No sign: all of the share's "
        "interval lies there; ≈ some of it does; ↑ none of it, too often; ↓ none of it, too rarely. "
        f"Of nulls: in how many zoos anything has a family-wise p of .05 or less, {100 * SIZE:g} wanted at most. No "
        f"sign: all of the share's interval lies there; ≈ some of it, and {100 * FAR_TOO_OFTEN:g} does not; ✗ none of "
        "it. ? too few repeats to say. – no number there. Repeats were fixed beforehand: none were added for "
        "what came."
    )


def _intervals(cells: Summed) -> str:
    def told(cell: Cell, name: str) -> str:
        return _cell(cells[cell].get(name, {}), "held", coverage_word)

    return _table(["index", "about"], _names(cells), cells, _of_index, told)


def _of_index(name: str) -> list[str]:
    about = {"population": "estimate", "sample": "value"}
    rule = index_measure(name).interval
    return [f"`{name}`", "" if rule is None else about[rule]]


def _corrections(cells: Summed, limits: Mapping[Cell, Mapping[str, Any]]) -> str:
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


def _names(cells: Summed) -> list[str]:
    """Return the indices that occur, or indices with nulls, in the registry's order."""
    order = list(indices()[0])
    occurring = dict.fromkeys(name for of_cell in cells.values() for name in of_cell)
    return sorted(occurring, key=lambda name: order.index(name.partition(" ")[0]))


def _nulls(cells: Summed) -> str:
    """Return a line for each index and null, with what all cells say together behind their names."""

    def line(name: str) -> list[str]:
        index, _, null = name.rpartition(" ")
        known = [of[name] for of in cells.values() if of.get(name)]
        together = {what: sum(of[what] for of in known) for what in ("found", "repeats")} if known else {}
        return [f"`{index}`", NULLS[null], _cell(together, "found", size_word)]

    def told(cell: Cell, name: str) -> str:
        return _cell(cells[cell].get(name, {}), "found", size_word)

    return _table(["index", "null", "all"], _names(cells), cells, line, told)


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
    return _lines(lines)


def _lines(lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(counts: Mapping[str, float], what: str, word: Callable[[Share], Word]) -> str:
    if not counts:
        return "–"
    share = _share(counts, what)
    return f"{100 * share.value:.1f} ± {100 * share.half:.1f}{SIGNS[word(share)]}"


def _share(counts: Mapping[str, float], what: str) -> Share:
    return Share(int(counts[what]), int(counts["repeats"]))
