"""Arrays that carry the labels of their samples: rows are paired by label, and never by position against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from stitchpipe.algebra import RowsError

if TYPE_CHECKING:
    from collections.abc import Mapping

DIMENSION: Final = "sample"
"""Of a labelled array: the axis that samples lie along, wherever it stands. Else it is the first."""
COORDINATES: Final = (DIMENSION, "sample_id")
"""Which coordinates along that axis hold labels, in the order in which they are looked for."""

REMEDY: Final = (
    "Select the same samples from both, or drop the labels by `.to_numpy()` to pair rows by position."
)


def paired_by_label(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays, first axis = samples, with labelled ones all in the order of the first labelled one.

    Labels are the index of a pandas object; of an xarray.DataArray they are the coordinate ``sample`` or ``sample_id``
    of the dimension ``sample``, or the coordinate of the first dimension. Arrays without labels are left as they are:
    with each other and beside labelled arrays of one order they are paired by position.

    Raises
    ------
    RowsError
        Labels are repeated, or differ between two arrays: where they first differ is said, nothing is joined. Labelled
        arrays have different orders beside one that has no labels.
    """
    upright = {name: _samples_first(array) for name, array in arrays.items()}
    labels = {name: index for name, array in upright.items() if (index := _labels(array)) is not None}
    for name, index in labels.items():
        _demand_unique(name, index)
    if not labels:
        return upright
    # The order of the first labelled array is that of all.
    first, *others = labels
    orders = {name: _order(first, labels[first], name, labels[name]) for name in others}
    moved = [name for name, order in orders.items() if not np.array_equal(order, np.arange(len(order)))]
    unlabelled = [name for name in upright if name not in labels]
    # An array without labels is paired by position. Where the labelled ones disagree about positions,
    # nobody knows which of them it goes with.
    if moved and unlabelled:
        raise RowsError(
            where="representations",
            expected="labels on all arrays, or one order of all labelled ones",
            found=f"{moved[0]!r} in another order than {first!r}, beside {unlabelled[0]!r} without labels",
            remedy=f"Give {unlabelled[0]!r} its labels, or bring {moved[0]!r} into the order of {first!r}.",
        )
    return {name: _taken(array, orders[name]) if name in moved else array for name, array in upright.items()}


def _samples_first(array: Any) -> Any:
    """Return an xarray.DataArray with its sample dimension first, anything else as it is."""
    return array.transpose(DIMENSION, ...) if _is_xarray(array) and DIMENSION in array.dims else array


def _labels(array: Any) -> pd.Index | None:
    """Return the labels along the first axis, or None where the array has none."""
    labels: pd.Index | None = None
    if isinstance(array, pd.DataFrame | pd.Series):
        labels = array.index
    elif _is_xarray(array) and array.dims:
        axis = array.dims[0]
        for name in (axis, *COORDINATES):
            if labels is None and name in array.coords and array.coords[name].dims == (axis,):
                labels = pd.Index(array.coords[name].to_numpy())
    return labels


def _is_xarray(array: Any) -> bool:
    """Return whether it is an xarray.DataArray; xarray itself, slow to import, is not needed to tell."""
    return type(array).__module__.partition(".")[0] == "xarray" and hasattr(array, "dims")


def _demand_unique(name: str, index: pd.Index) -> None:
    if index.is_unique:
        return
    again = int(index.duplicated().argmax())
    first = int((index == index[again]).argmax())
    raise RowsError(
        where=f"representation {name!r}",
        expected="one row for each sample label",
        found=f"label {_shown(index, again)} in row {first} and again in row {again}",
        remedy="Drop or rename the repeated rows; or take `.to_numpy()`, which drops the labels.",
    )


def _order(first: str, expected: pd.Index, name: str, found: pd.Index) -> npt.NDArray[np.int64]:
    """Return which row of `name` has each label of `first`; the labels have to be the same."""
    order = found.get_indexer(expected)
    if (order < 0).any():
        raise _unlike(first, expected, name, int((order < 0).argmax()))
    # All of the first array's labels are there, so one too many means one that only the other array has.
    if len(found) > len(expected):
        raise _unlike(name, found, first, int((expected.get_indexer(found) < 0).argmax()))
    return np.asarray(order, dtype=np.int64)


def _unlike(owner: str, index: pd.Index, other: str, row: int) -> RowsError:
    return RowsError(
        where=f"representations {owner!r} and {other!r}",
        expected="the same sample labels in both",
        found=f"label {_shown(index, row)}, row {row} of {owner!r}, which {other!r} does not have",
        remedy=REMEDY,
    )


def _taken(array: Any, order: npt.NDArray[np.int64]) -> Any:
    """Return an array with its rows in another order."""
    return array.isel({array.dims[0]: order}) if _is_xarray(array) else array.iloc[order]


def _shown(index: pd.Index, row: int) -> str:
    """Return a label as its owner would write it: ``3``, not ``np.int64(3)``."""
    return repr(index[[row]].tolist()[0])
