"""A matrix of layers as a heat map of characters: sources down, targets across, bright for similar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib import colormaps
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from stitchpipe.asking.pictures import colours_of
from stitchpipe.asking.titles import title_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.asking import Matrix

WITH_NUMBER: Final = 5
"""Characters of a cell that shows its number."""
WITHOUT: Final = 2
"""Characters of one that is a colour alone."""
_LABEL: Final = 0.4
"""The share of the width that names of rows may take."""
_LEGEND: Final = 24
_BESIDE: Final = 14
"""What the numbers at the ends of the scale take at most."""
_HIGHEST: Final = 14
"""Lines that names of columns may take: of longer ones the end is shown, which tells layers apart."""
_SHADES: Final = " ░▒▓█"


def heat_map(matrix: Matrix, width: int, *, is_coloured: bool = True) -> list[Text]:
    """Return the lines of a heat map, with its title above and its scale below.

    Cells show their numbers where there is room. Of more targets than fit, every second one is shown, or fewer, and of
    the sources as many; that is said.

    Parameters
    ----------
    width
        Of the terminal, in characters.
    is_coloured
        Whether the terminal has colours; otherwise cells without numbers are shaded.
    """
    rows, columns = (_short([str(name) for name in matrix[side].to_numpy()]) for side in ("source", "target"))
    label = min(max(map(cell_len, rows.names)), int(width * _LABEL))
    cell = WITH_NUMBER if label + 1 + WITH_NUMBER * len(columns.names) <= width else WITHOUT
    step = -(-len(columns.names) * cell // max(cell, width - label - 1))
    values, palette = matrix.to_numpy(), _Palette(matrix)
    shown_rows, shown_columns = range(0, values.shape[0], step), range(0, values.shape[1], step)
    lines = [Text(title_of(matrix), style="bold"), *columns.numbered(shown_columns, label, cell)]
    for row in shown_rows:
        line = Text(set_cell_size(rows.names[row], label) + " ")
        for column in shown_columns:
            value = float(values[row, column])
            shade = " " if is_coloured else palette.shade(value)
            line.append(_number(value) if cell == WITH_NUMBER else shade * cell, style=palette.style(value))
        lines.append(line)
    lines.append(palette.legend(" " * (label + 1), width - label - 1))
    if step > 1:
        told = (
            f"Every {step}th layer of {values.shape[0]} × {values.shape[1]}; --csv, --png and --svg have all."
        )
        lines.append(Text(told))
    if rows.common or columns.common:
        lines.append(Text(f"rows: {rows.common or 'as named'}; columns: {columns.common or 'as named'}"))
    return lines


class _Names:
    """The names along an axis, without the model that they have in common."""

    def __init__(self, names: Sequence[str], common: str) -> None:
        self.names, self.common = list(names), common

    def numbered(self, shown: Sequence[int], label: int, cell: int) -> list[Text]:
        """Return the names of columns, written downwards: one character of each name in a line."""
        height = min(max(len(self.names[column]) for column in shown), _HIGHEST)
        padded = [self.names[column][-height:].rjust(height) for column in shown]
        before = " " * (label + 1)
        return [
            Text(before + "".join(name[line].center(cell) for name in padded), style="dim")
            for line in range(height)
        ]


def _short(names: Sequence[str]) -> _Names:
    models = {name.rpartition("/")[0] for name in names}
    if len(models) == 1 and (model := models.pop()):
        return _Names([name.removeprefix(f"{model}/") for name in names], model)
    return _Names(names, "")


class _Palette:
    """The colours of a matrix, the same as in its pictures."""

    def __init__(self, matrix: Matrix) -> None:
        given = colours_of(matrix)
        self._low, self._high = float(given["vmin"]), float(given["vmax"])
        self._colours = colormaps[given["cmap"]]

    def style(self, value: float) -> str:
        """Return the style of a cell: a colour behind its number, which is black or white on it."""
        if not np.isfinite(value):
            return "dim"
        red, green, blue = (round(255 * part) for part in self._colours(self._share(value))[:3])
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 110
        return f"{'#000000' if is_light else '#ffffff'} on rgb({red},{green},{blue})"

    def shade(self, value: float) -> str:
        """Return a character that stands for a value where there are no colours: the darker, the higher it is."""
        return _SHADES[round(self._share(value) * (len(_SHADES) - 1))] if np.isfinite(value) else "?"

    def _share(self, value: float) -> float:
        """Return where in the range of the colours a value is, from 0 to 1."""
        return min(max((value - self._low) / ((self._high - self._low) or 1.0), 0.0), 1.0)

    def legend(self, before: str, room: int) -> Text:
        """Return the scale, from its lowest to its highest value, in at most so many characters and `before`."""
        length = max(2, min(_LEGEND, room - _BESIDE))
        line = Text(f"{before}{self._low:.3g} ")
        for place in range(length):
            line.append(" ", style=self.style(self._low + (self._high - self._low) * place / (length - 1)))
        return line.append(f" {self._high:.3g}")


def _number(value: float) -> str:
    """Return a number in `WITH_NUMBER` characters: two or three digits, which a heat map can do with."""
    if not np.isfinite(value):
        return "  ·  "
    text = f"{value:.2f}"
    text = text.replace("0.", ".", 1) if abs(value) < 1 else text
    return (text if len(text) < WITH_NUMBER else f"{value:.2g}").center(WITH_NUMBER)[:WITH_NUMBER]
