"""A run in forms that others read: one table, an archive to share, points to look at."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.run.file_names import REPORT
from stitchpipe.run.kept_declarations import kept_text

if TYPE_CHECKING:
    import xarray as xr

    from stitchpipe.run.place import RunPlace

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
    held = projected.to_numpy()
    columns = {
        "id": pa.array([str(name) for name in projected["sample_id"].to_numpy()], pa.string()),
        "x": pa.array(held[:, 0], pa.float64()),
        "y": pa.array(held[:, 1], pa.float64()),
    }
    if "label" in projected.coords:
        columns["label"] = pa.array(projected["label"].to_numpy())
    return pa.table(columns)
