"""Numbers of single layers, by the names of layers and measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.asking.ends import EVERYTHING, LayerNames, in_order
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.run.file_names import dump_record
from stitchpipe.run.layer_numbers import COLUMNS
from stitchpipe.run.names import TEST

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd

    from stitchpipe.asking.ends import Ends
    from stitchpipe.run.place import RunPlace


def layer_numbers(
    place: RunPlace, *measures: str, layers: Ends = EVERYTHING, view: str | None = None
) -> pd.DataFrame:
    """Return the numbers that layers have by themselves, one row each, layers in their network's order.

    Parameters
    ----------
    measures
        Names, with their parameters; none for all.
    layers
        ``MODEL/LAYER`` with globs, or a list of these.
    view
        Only under this one.

    Returns
    -------
    DataFrame
        The columns of the table ``layers`` of `stitchpipe query`. Of a model that was dumped again, the numbers of what
        it holds now; those of before stay in that table.

    Raises
    ------
    WorkspaceError
        There are none, or none of that measure; a layer or a glob that matches none.

    Examples
    --------
    >>> run.layer_numbers("participation_ratio", layers="A/*")  # doctest: +SKIP
    """
    import pandas as pd  # noqa: PLC0415 - a third of a second that only whoever asks should pay

    rows = _of_now(place, place.layer_numbers.rows())
    for measure in measures:
        if measure not in {row["measure"] for row in rows}:
            raise WorkspaceError.unknown(
                place.url,
                "a measure that layers were asked for (`layer_measures` of a table [[compare]])",
                measure,
                sorted({row["measure"] for row in rows}),
            )
    ends = LayerNames(
        f"numbers of layers in {place.url}",
        in_order({(row["model"], row["layer"], row["depth"]) for row in rows}),
    )
    chosen = {(name.model, name.layer) for name in ends.matching(layers)} if rows else set()
    rows = [
        row
        for row in rows
        if (row["model"], row["layer"]) in chosen
        and (not measures or row["measure"] in measures)
        and view in (None, row["view"])
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype({"value": float, "standard_error": float})


def _of_now(place: RunPlace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the numbers of the dumps that the models' names stand for now; of ingested models all."""
    names = {row["model"]: dump_record(row["model"], TEST) for row in rows}
    records = place.files.records_of(names.values(), "models")
    return [
        row
        for row in rows
        if (record := records.get(names[row["model"]])) is None or record["fingerprint"] == row["fingerprint"]
    ]
