"""A measure of all pairs of some layers as a labelled matrix, in the networks' order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stitchpipe.asking.ends import EVERYTHING, measured_layers
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.labelled_matrix import Matrix
from stitchpipe.asking.measured import measured
from stitchpipe.asking.pair_numbers import PairNumbers
from stitchpipe.measures import OK
from stitchpipe.results import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stitchpipe.asking.ends import Ends
    from stitchpipe.asking.measured import Measured
    from stitchpipe.asking.selection import StitchChoice
    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace

NUMBERS: Final = tuple(column.name for column in COLUMNS if column.kind != "text")
"""The columns that may fill a matrix."""
TOLD: Final = (
    "split",
    "fit_split",
    "family",
    "method",
    "init",
    "objective",
    "seed",
    "steps",
    "n_samples",
    "n_rows",
    "grid",
)
"""What is told of a matrix where all its numbers agree in it."""


def matrix(
    place: RunPlace,
    measure: str,
    source: Ends = EVERYTHING,
    target: Ends = EVERYTHING,
    *,
    view: str | None = None,
    column: str = "value",
    **stitch: Unpack[StitchChoice],
) -> Matrix:
    """Return a measure of all pairs of some layers, sources down, targets across, in the networks' order.

    Parameters
    ----------
    measure
        Its name as in the results; of stitches too, such as ``stitch_relative_accuracy``.
    source, target
        Models, or globs over ``MODEL/LAYER``.
    view
        Needed only where the measure was taken under several.
    column
        What fills the matrix: ``value``, or what stands beside it, such as ``low``, ``p_family`` or ``rank``.
    stitch
        Which stitches, for measures of stitches: ``method``, ``init``, ``seed`` and whatever else they differ in
        (`stitchpipe.results.MAKING`).

    Returns
    -------
    Matrix
        An `xarray.DataArray` with the dimensions ``source`` and ``target``, labelled ``MODEL/LAYER``, and a ``plot``
        that draws it as a heat map. Coordinates: ``source_model``, ``source_layer``, the same of the target, and
        ``reason``, which says of each cell without a number why. Layers of which there is no number are left out.
        Attributes: ``measure``, ``label``, ``unit``, ``direction``, ``larger_is_more_similar``, ``range``, ``view``,
        ``column``, ``n_samples``, ``missing`` (cells without a number), and `TOLD` where all numbers agree.

    Raises
    ------
    WorkspaceError
        A name is none, no pair of these layers has a number or a reason for none, or a pair has several.
    stitchpipe.results.QueryError
        There are no results.

    Notes
    -----
    Some hundred bytes for each pair while it is read, and 16 afterwards.

    Examples
    --------
    >>> run.matrix("cka", "A", "B", view="pooled").plot()  # doctest: +SKIP
    """
    if column not in NUMBERS:
        raise WorkspaceError.unknown("a matrix", "a column of numbers", column, NUMBERS)
    what, layers = measured(place, measure, view), measured_layers(place)
    pairs = PairNumbers(place, what, layers.matching(source), layers.matching(target), dict(stitch))
    table = pairs.read(list(dict.fromkeys([column, "value", "status", "reason", *TOLD])))
    if not len(table):
        raise WorkspaceError(
            where=f"{what.name} under {what.view} in {place.url}",
            expected=f"numbers of {source} and {target}",
            found="none",
            remedy="Exchange source and target, or name layers that were compared: `run.measures()` gives all.",
        )
    return filled(table, what, column, (pairs.sources, pairs.targets))


def filled(
    table: pa.Table,
    what: Measured,
    column: str,
    layers: tuple[Sequence[LayerName], Sequence[LayerName]],
) -> Matrix:
    """Return the matrix of some numbers, one for each pair.

    Parameters
    ----------
    table
        With the columns of the ends, `column`, ``value``, ``status``, ``reason`` and `TOLD`.
    layers
        Sources and targets, in the order that the matrix has them in; those without a number are left out.
    """
    sources, i = _axis(table, "source", layers[0])
    targets, j = _axis(table, "target", layers[1])
    values = np.full((len(sources), len(targets)), np.nan)
    values[i, j] = table[column].cast(pa.float64()).to_numpy()
    reasons = np.full(values.shape, "not measured", object)
    reasons[i, j] = _reasons(table, column)
    coordinates: dict[str, Any] = {"reason": (("source", "target"), reasons)}
    for side, names in (("source", sources), ("target", targets)):
        coordinates[side] = [str(name) for name in names]
        coordinates[f"{side}_model"] = (side, [name.model for name in names])
        coordinates[f"{side}_layer"] = (side, [name.layer for name in names])
    return Matrix(
        values,
        dims=("source", "target"),
        coords=coordinates,
        name=what.name,
        attrs=_about(table, column, what) | {"missing": int(np.isnan(values).sum())},
    )


def _axis(
    table: pa.Table, side: str, names: Sequence[LayerName]
) -> tuple[list[LayerName], npt.NDArray[np.int64]]:
    """Return the layers of one side that occur, in order, and the place of each row's among them."""
    joined = pc.binary_join_element_wise(table[f"{side}_model"], table[f"{side}_layer"], "\0")
    known = pa.array([f"{name.model}\0{name.layer}" for name in names], pa.string())
    places = pc.index_in(joined, known).to_numpy()
    occurring = np.unique(places)
    return [names[place] for place in occurring.tolist()], np.searchsorted(occurring, places)


def _reasons(table: pa.Table, column: str) -> list[str]:
    """Return why each row has no number in a column; an empty text where it has one."""
    told = zip(*(table[name].to_pylist() for name in (column, "status", "reason")), strict=True)
    return ["" if value is not None else _why(column, status, reason) for value, status, reason in told]


def _why(column: str, status: str, reason: str | None) -> str:
    if status == OK:
        return f"it has no {column}"
    return f"{status}: {reason}" if reason else status


def _about(table: pa.Table, column: str, what: Measured) -> dict[str, Any]:
    """Return what is known of a matrix beside its numbers, in values that files of all kinds can hold."""
    about = what.about
    told: dict[str, Any] = {"measure": what.name, "label": what.title, "view": what.view, "column": column}
    if about is not None:
        told["unit"], told["range"] = about.unit, list(about.range)
        larger = about.larger_is_more_similar
        words = {
            True: "larger is more similar",
            False: "smaller is more similar",
            None: "neither is more similar",
        }
        told["direction"] = words[larger]
    for name in TOLD:
        values = table[name].unique().to_pylist()
        if len(values) == 1 and values[0] is not None:
            told[name] = values[0]
    told["n_samples"] = max(table["n_samples"].to_pylist())
    return {**told, "long_name": what.title if column == "value" else f"{what.title}, {column}"}
