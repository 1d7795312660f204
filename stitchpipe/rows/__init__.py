"""Rows × features out of representations: views, grids, and the resizing that brings two layers to one grid."""

from stitchpipe.rows.resizing import (
    Grid,
    Maps,
    adjoint_maps,
    axes_of,
    gram_root_maps,
    n_positions,
    position_weights,
    resize_maps,
    resized,
)
from stitchpipe.rows.views import (
    VIEWS,
    Float64,
    View,
    ViewError,
    grid_label,
    grid_of,
    result_grid,
    rows_per_sample,
    to_rows,
    token_grid,
    width_of,
)

__all__ = [
    "VIEWS",
    "Float64",
    "Grid",
    "Maps",
    "View",
    "ViewError",
    "adjoint_maps",
    "axes_of",
    "gram_root_maps",
    "grid_label",
    "grid_of",
    "n_positions",
    "position_weights",
    "resize_maps",
    "resized",
    "result_grid",
    "rows_per_sample",
    "to_rows",
    "token_grid",
    "width_of",
]
