"""A run in forms that others read: one table, labelled arrays, a folder to share, points to look at."""

from __future__ import annotations

import io
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow.parquet as pq
import xarray as xr

from stitchpipe.asking.ends import measured_layers
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.matrices import matrix
from stitchpipe.asking.selection import MAKING
from stitchpipe.run.kept_declarations import kept_text
from stitchpipe.run.place import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from stitchpipe.run.place import RunPlace

_WHICH: Final = MAKING[:5]
"""What tells stitches apart in the name of a matrix: method, init, objective, seed, steps."""
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of the entries of an archive: equal runs give equal archives."""
_README: Final = """\
{url}

report/index.html   the page: open it in a browser
results.parquet     every number, a row each: pandas.read_parquet, duckdb, R's arrow
sweep.toml          what was declared: `stitchpipe run sweep.toml` makes it again
"""


def all_numbers(place: RunPlace) -> pa.Table:
    """Return every number of a run, a row each; errors as `stitchpipe.results.Catalogue.query`."""
    return place.results.table("SELECT * FROM results")


def all_matrices(place: RunPlace) -> xr.Dataset:
    """Return every measure of a run as a matrix of sources × targets, in the networks' order.

    Returns
    -------
    Dataset
        A variable for each measure and view (``cka pooled``), and of stitches for each way of making them
        (``stitch_accuracy dm``); NaN where there is no number. All have the same layers.

    Raises
    ------
    stitchpipe.results.QueryError
        There are no results.

    Notes
    -----
    Eight bytes for each pair of layers and variable are held at a time.
    """
    layers = [str(name) for name in measured_layers(place).known]
    variables = {name: _plain(found, layers) for name, found in _matrices(place)}
    return xr.Dataset(variables, attrs={"run": place.url})


def _matrices(place: RunPlace) -> Iterator[tuple[str, xr.DataArray]]:
    ways = ", ".join(_WHICH)
    sql = f'SELECT DISTINCT "index", view, {ways} FROM results ORDER BY ALL'  # noqa: S608  (our own words)
    for row in place.results.table(sql).to_pylist():
        which = {key: row[key] for key in _WHICH if row[key] is not None}
        name = " ".join(map(str, (row["index"], *([row["view"]] if not which else which.values()))))
        # Stitches of one pair that differ in something else, such as the rate of learning, are several numbers of a
        # cell: which of them is meant nobody says, so that these matrices are none.
        try:
            yield name, matrix(place, row["index"], view=row["view"], **which)
        except WorkspaceError as error:
            if "several" not in str(error):
                raise


def _plain(found: xr.DataArray, layers: Iterable[str]) -> xr.DataArray:
    """Return a matrix over all layers with what every format can hold of its attributes."""
    bare = xr.DataArray(
        np.asarray(found.to_numpy(), np.float64),
        dims=("source", "target"),
        coords={side: [str(name) for name in found[side].to_numpy()] for side in ("source", "target")},
        attrs={key: _attribute(value) for key, value in found.attrs.items() if value is not None},
    )
    known = list(layers)
    return bare.reindex(source=known, target=known)


def _attribute(value: Any) -> Any:
    if isinstance(value, bool | np.bool_):
        return int(value)
    if isinstance(value, list | tuple):
        return [float(part) for part in value]
    return value if isinstance(value, str | int | float) else str(value)


def shared_archive(place: RunPlace) -> bytes:
    """Return a run as a ZIP archive for somebody who has nothing of it: the page, all numbers, and the sweep.

    Activations and weights are not in it. Raises WorkspaceError where no page was written yet.
    """
    names = [entry.key.removeprefix(f"{REPORT}/") for entry in place.files.place.entries(REPORT)]
    # Pages of parts of the sweep are pages of their own.
    whole = [name for name in names if not name.startswith("parts/")]
    page = {f"{REPORT}/{name}": place.files.read_published(REPORT, name) for name in whole}
    if f"{REPORT}/index.html" not in page:
        raise WorkspaceError(
            where=place.url,
            expected="a page to share",
            found="none",
            remedy=f"Write it first: `stitchpipe report {place.url}`.",
        )
    numbers = io.BytesIO()
    pq.write_table(all_numbers(place), numbers)
    files = {
        "README.txt": _README.format(url=place.url).encode(),
        "results.parquet": numbers.getvalue(),
        "sweep.toml": (kept_text(place) or "").encode(),
        **page,
    }
    data = io.BytesIO()
    folder = place.url.rstrip("/").rpartition("/")[2] or "run"
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(f"{folder}/{name}", _DATE), content, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def points(projected: xr.DataArray) -> pa.Table:
    """Return samples in the plane as rows for Embedding Atlas: ``id``, ``x``, ``y``, and ``label`` if there is one."""
    import pyarrow as pa  # noqa: PLC0415 - types alone elsewhere

    held = projected.to_numpy()
    columns = {
        "id": pa.array([str(name) for name in projected["sample_id"].to_numpy()], pa.string()),
        "x": pa.array(held[:, 0], pa.float64()),
        "y": pa.array(held[:, 1], pa.float64()),
    }
    if "label" in projected.coords:
        columns["label"] = pa.array(projected["label"].to_numpy())
    return pa.table(columns)


def write_matrices(found: xr.Dataset, path: Path) -> None:
    """Write matrices as NetCDF (``.nc``) or as a Zarr store (``.zarr``).

    NetCDF is of the third version, which needs no further library and is read by all; there names of variables have
    no slashes.
    """
    if path.suffix == ".zarr":
        with warnings.catch_warnings():
            # The type of names has no specification of its own yet; xarray, which wrote it, reads it.
            warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
            found.to_zarr(path, mode="w-", consolidated=False)
    else:
        found.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
