"""Arrays in memory: all ordered pairs of them, a labelled data frame back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from stitchpipe.algebra import AlgebraError, RowsError
from stitchpipe.in_memory.pairs import COLUMNS, Pair, both_directions
from stitchpipe.in_memory.summaries import ArraySummaries, HeldOutSummaries
from stitchpipe.registry import index_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pandas.api.extensions import ExtensionArray

    from stitchpipe.algebra import Index, Products
    from stitchpipe.in_memory.samples import Samples
    from stitchpipe.rows import View

DEFAULT_INDICES: Final = ("cka", "procrustes", "dm_r2")


def compare_arrays(
    representations: Mapping[str, Any],
    *,
    indices: Sequence[str] = DEFAULT_INDICES,
    view: View | None = None,
    fit: Mapping[str, Any] | None = None,
    products: Products = "float64",
) -> pd.DataFrame:
    """Compare every ordered pair of representations held in memory, self-pairs included.

    Parameters
    ----------
    representations
        Name → array of NumPy, torch, or anything `numpy.asarray` takes; first axis = the same samples in the
        same order. ``(n, D)``, ``(n, T, D)`` or ``(n, C, H, W)``. Rows of pandas and xarray objects are paired by their
        labels, see `stitchpipe.in_memory.sample_labels.paired_by_label`.
    indices
        Names as `stitchpipe indices` lists them, those of moments; a parameter in parentheses: ``gulp(0.1)``.
    view
        How samples become rows: ``positions``, ``pooled`` or ``flatten``. Required unless all arrays are
        two-dimensional, whose rows are taken as they are (``as_given``). Where spatial sizes differ the
        source is resized to the target's under ``positions``; under ``flatten`` widths may differ as they are.
    fit
        The same names on other samples: ``dm_…`` indices then score maps fitted there. Without it
        maps are fitted on the very rows they are scored on, which flatters them; the column ``fit`` says
        ``held_out`` or ``in_sample``.
    products
        ``float64``, or ``float32``: rows are then multiplied in float32, and a few thousand of them at a time summed up
        in float64. About twice as fast for many rows, and right to some 1e-8 where nothing is inverted.

    Returns
    -------
    pandas.DataFrame
        One row per number, with the columns `COLUMNS`. Where an index has no value, ``value`` is missing and
        ``status`` and ``reason`` say why.

    Raises
    ------
    UnknownNameError
        A name that is no index.
    AlgebraError
        An index of something else than moments of rows.
    RowsError
        Empty input, different sample counts or labels, NaN or infinite entries, `fit` of other names or shapes.
    ViewError
        A view is needed and none was given, or an array has no such view.

    Notes
    -----
    For L representations O(n·p²) each and O(n·p·q) a pair, beside what the indices cost (`stitchpipe indices`): no more
    than the plain functions of `stitchpipe.algebra` take for each of them. Either direction of a pair takes the same
    product, but under ``positions`` where the grids differ. Rows wider than n + 1 are brought to n + 1 coordinates in
    O(n²·p) once, after which n takes the place of p and q. Memory O(n·p) each, in the type of `products`.
    """
    chosen = tuple(_chosen(name) for name in indices)
    scored = ArraySummaries(representations, view, where="representations", products=products)
    held_out = None
    if fit is not None:
        fitted_on = ArraySummaries(fit, view, where="fit", products=products)
        _check_same_layers(scored.samples, fitted_on.samples)
        held_out = HeldOutSummaries(scored, fitted_on)
    names = list(scored.samples)
    by_pair: dict[tuple[str, str], list[dict[str, object]]] = {}
    for number, source in enumerate(names):
        for target in names[number:]:
            by_pair |= both_directions(Pair(scored, held_out, source, target, chosen))
    records = [record for source in names for target in names for record in by_pair[source, target]]
    # Small arrays take less time than a data frame whose types are found out first and changed afterwards.
    return pd.DataFrame(
        {name: _column([record[name] for record in records], dtype) for name, dtype in COLUMNS.items()}
    )


def _column(values: list[Any], dtype: Any) -> ExtensionArray:
    """Return one column of the result in its type, with None for what is missing."""
    column: ExtensionArray = pd.array(values, dtype=dtype)
    return column


def _chosen(name: str) -> Index:
    """Return the index of that name, refusing those that are not computed from moments of rows."""
    index = index_named(name)
    if index.measure.computed_from != "moments":
        raise AlgebraError(
            where=f"index {index.name}",
            expected="an index of moments of rows",
            found=f"one of {index.measure.computed_from}",
            remedy="Leave it out here.",
        )
    return index


def _check_same_layers(scored: Mapping[str, Samples], fitted_on: Mapping[str, Samples]) -> None:
    expected = {name: block.shape[1:] for name, block in scored.items()}
    found = {name: block.shape[1:] for name, block in fitted_on.items()}
    if expected != found:
        raise RowsError(
            where="fit",
            expected=f"the representations' names and sample shapes {expected}",
            found=str(found),
            remedy="Pass the same layers on other samples.",
        )
