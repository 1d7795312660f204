"""Every measure of a run as a labelled matrix, read in few passes, and the files that hold them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xarray as xr

from stitchpipe.asking.ends import measured_layers
from stitchpipe.asking.errors import SeveralNumbersError
from stitchpipe.asking.matrices import TOLD, filled
from stitchpipe.asking.measured import Measured
from stitchpipe.asking.pair_numbers import PAIR, TELLING, one_of_each
from stitchpipe.asking.selection import Selection
from stitchpipe.registry import find_measure
from stitchpipe.results import MAKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace

PASS_ROWS: Final = 300_000
"""Numbers that are read in one pass over the results: some hundred bytes each."""
_NAMED: Final = MAKING[:5]
"""What stands in the name of a matrix of stitches: method, start, goal, seed, steps."""
_READ: Final = tuple(dict.fromkeys((*PAIR, "value", "status", "reason", *TOLD, *TELLING)))


def all_matrices(place: RunPlace) -> xr.Dataset:
    """Return every measure of a run as a matrix of sources × targets, in the networks' order.

    Returns
    -------
    Dataset
        A variable for each measure and view (``cka pooled``), and of stitches for each way of making them
        (``stitch_accuracy dm``); NaN where there is no number. All have the same layers. The attribute ``left_out``
        names the measures that have several numbers of one pair, of declarations of which none is the run's own.

    Raises
    ------
    stitchpipe.results.QueryError
        There are no results.

    Notes
    -----
    The results are read once for every `PASS_ROWS` numbers, at a tenth of a processor second to open them. Held are the
    numbers of a pass, and eight bytes for each pair of layers and variable.
    """
    layers = measured_layers(place).known
    names = [str(name) for name in layers]
    variables: dict[str, xr.DataArray] = {}
    left_out: list[str] = []
    for measures in _passes(place):
        numbers = Selection().where(
            '("index", view) IN (SELECT (unnest(?::VARCHAR[]), unnest(?::VARCHAR[])))',
            *map(list, zip(*measures, strict=True)),
        )
        table = numbers.ask(place, ", ".join(f'"{name}"' for name in _READ))
        for index, view in measures:
            rows = table.filter(pc.and_(pc.equal(table["index"], index), pc.equal(table["view"], view)))
            measured = Measured(index, view, find_measure(index))
            for name, of_one_way in _ways(rows, measured):
                try:
                    chosen = one_of_each(place, of_one_way, measured)
                except SeveralNumbersError:
                    left_out.append(name)
                    continue
                variables[name] = _plain(chosen, measured, layers).reindex(source=names, target=names)
    return xr.Dataset(variables, attrs={"run": place.url} | ({"left_out": left_out} if left_out else {}))


def _passes(place: RunPlace) -> Iterator[list[tuple[str, str]]]:
    """Return measures with their views, as many at a time as are read together."""
    table = place.results.table(
        'SELECT "index", view, count(*) AS numbers FROM results GROUP BY ALL ORDER BY ALL'
    )
    together: list[tuple[str, str]] = []
    rows = 0
    for row in table.to_pylist():
        if together and rows + row["numbers"] > PASS_ROWS:
            yield together
            together, rows = [], 0
        together.append((row["index"], row["view"]))
        rows += row["numbers"]
    if together:
        yield together


def _ways(rows: pa.Table, measured: Measured) -> Iterator[tuple[str, pa.Table]]:
    """Return the numbers of a measure by how the stitches were made, and what each matrix is called.

    A way has in its name what most stitches differ in; another column only where two ways are not told apart without.
    """
    ways = rows.group_by(list(MAKING)).aggregate([]).to_pylist()
    short = [tuple(way[name] for name in _NAMED) for way in ways]
    for way, named in sorted(zip(ways, short, strict=True), key=str):
        alike = [other for other, same in zip(ways, short, strict=True) if same == named]
        differing = [name for name in MAKING if len({other[name] for other in alike}) > 1]
        words = [str(value) for value in named if value is not None] or [measured.view]
        words += [f"{name}={way[name]}" for name in differing]
        yield " ".join([measured.name, *words]), rows.filter(_made_as(rows, way))


def _made_as(rows: pa.Table, way: dict[str, Any]) -> pa.ChunkedArray:
    """Return which rows are of stitches that were made in one way."""
    chosen = pa.chunked_array([pa.array(np.ones(len(rows), np.bool_))])
    for name, value in way.items():
        column = rows[name]
        chosen = pc.and_(chosen, pc.is_null(column) if value is None else pc.equal(column, value))
    return pc.fill_null(chosen, fill_value=False)


def _plain(table: pa.Table, measured: Measured, layers: Sequence[LayerName]) -> xr.DataArray:
    """Return the matrix of some numbers with what every format can hold of its attributes."""
    matrix = filled(table, measured, "value", (layers, layers))
    return xr.DataArray(
        np.asarray(matrix.to_numpy(), np.float64),
        dims=("source", "target"),
        coords={side: [str(name) for name in matrix[side].to_numpy()] for side in ("source", "target")},
        attrs={key: _attribute(value) for key, value in matrix.attrs.items() if value is not None},
    )


def _attribute(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, list | tuple):
        return [float(part) for part in value]
    return value if isinstance(value, str | int | float) else str(value)


def write_matrices(matrices: xr.Dataset, path: Path) -> None:
    """Write matrices as NetCDF (``.nc``) or as a Zarr store (``.zarr``).

    NetCDF is of the third version, which needs no further library and is read by all; there names of variables have
    no slashes.
    """
    if path.suffix == ".zarr":
        with warnings.catch_warnings():
            # The type of names has no specification of its own yet; xarray, which wrote it, reads it.
            warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
            matrices.to_zarr(path, mode="w-", consolidated=False)
    else:
        matrices.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
