"""The command that hands a run to others: as one table, as arrays, as an archive to share, as points to look at."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - read from the annotations by the command line
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from stitchpipe.cli.app import RunAddress, app
from stitchpipe.cli.files_out import OutputError, demand_new, write_new_file

if TYPE_CHECKING:
    import pyarrow as pa

_KINDS = {
    ".parquet": "every number, a row each",
    ".nc": "every measure as a labelled matrix, NetCDF",
    ".zarr": "the same as a Zarr store",
    ".zip": "to share: the page, all numbers, the sweep",
}


@app.command
def export(
    place: RunAddress,
    output: Annotated[
        Path,
        Parameter(name="FILE", help="; ".join(f"{ending}: {what}" for ending, what in _KINDS.items()) + "."),
    ],
    /,
    *,
    points: Annotated[
        str | None,
        Parameter(
            name="--points",
            help="MODEL/LAYER: its samples in the plane of their principal components, as rows for Embedding Atlas "
            "(id, x, y, label), into FILE.parquet.",
        ),
    ] = None,
    split: Annotated[str, Parameter(help="Of the samples of --points.")] = "test",
) -> None:
    """Write a run, or the samples of a layer, to a file that others read. What is there is never overwritten.

    `stitchpipe export runs/quickstart quickstart.zip`

    `stitchpipe export runs/quickstart points.parquet --points A/layer2.0`

    Activations, weights and maps stay in the run.
    """
    from stitchpipe.run.place import RunPlace

    demand_new(output, {".parquet"} if points is not None else set(_KINDS))
    run = RunPlace.at(place)
    if points is not None:
        _write_table(_points_of(place, points, split), output)
    elif output.suffix == ".parquet":
        from stitchpipe.asking import all_numbers

        _write_table(all_numbers(run), output)
    elif output.suffix == ".zip":
        from stitchpipe.asking import shared_archive

        write_new_file(output, shared_archive(run))
    else:
        from stitchpipe.asking import all_matrices, write_matrices

        matrices = all_matrices(run)
        try:
            write_matrices(matrices, output)
        except OSError as error:
            raise OutputError.unwritable(output, error) from None
        sys.stderr.write(f"{len(matrices)} matrices of {matrices.sizes['source']} layers in {output}\n")
        for name in matrices.attrs.get("left_out", ()):
            sys.stderr.write(f"Left out, because pairs have several numbers of equal standing: {name}\n")


def _points_of(place: str, layer: str, split: str) -> pa.Table:
    from stitchpipe.asking import points
    from stitchpipe.asking.workspace import open_workspace

    return points(open_workspace(place).projection(layer, split=split))


def _write_table(table: pa.Table, output: Path) -> None:
    import io

    import pyarrow.parquet as pq

    held = io.BytesIO()
    pq.write_table(table, held)
    write_new_file(output, held.getvalue())
