"""A labelled matrix of pairs of layers that draws itself as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Matrix(xr.DataArray):
    """An `xarray.DataArray` of sources × targets, with everything that arrays of xarray can do.

    What is selected or computed from it is a matrix again. Xarray's own drawing of an axis of names cuts the outer
    cells in half, so that names stand at others' edges; this one draws each cell whole, in the networks' order.
    """

    __slots__ = ()

    def plot(self, ax: Axes | None = None, **colours: Any) -> Axes:  # type: ignore[override]
        """Draw the matrix as a heat map, sources down, targets across; bright is similar. Return its axes.

        Parameters
        ----------
        ax
            Where it is drawn; default: a figure of its own.
        colours
            ``vmin``, ``vmax``, ``cmap`` in place of the measure's own range and direction.

        Notes
        -----
        Cells without a number are grey. What is no matrix any more (one row, say) is drawn as xarray does.
        """
        if self.ndim != 2:
            return xr.DataArray(self).plot(ax=ax, **colours)  # type: ignore[no-any-return]
        # Matplotlib is a third of what a matrix takes to import, and most are read, not drawn.
        from stitchpipe.asking.pictures import heat_map  # noqa: PLC0415

        return heat_map(self, ax, **colours)

    def to_svg(self) -> str:
        """Return the heat map as SVG, without a display."""
        from stitchpipe.asking.pictures import svg_of  # noqa: PLC0415 - as above

        return svg_of(self)

    def _repr_html_(self) -> str:
        """Show the heat map above xarray's own table, in notebooks."""
        table = super()._repr_html_()
        return f"{self.to_svg()}{table}" if self.ndim == 2 and self.size else table
