"""The data frame that a comparison in memory gives: one row for each number, in typed columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from stitchpipe.measures import EXTRAS
from stitchpipe.rows import grid_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas.api.extensions import ExtensionArray

    from stitchpipe.algebra import Index
    from stitchpipe.in_memory.pairs import Numbers
    from stitchpipe.in_memory.summaries import ArraySummaries
    from stitchpipe.measures import Number

COLUMNS: Final = {
    "source": "string",
    "target": "string",
    "index": "string",
    "value": "Float64",
    "status": "string",
    "reason": "string",
    "view": "string",
    "grid": "string",
    "fit": "string",
    "n_samples": "Int64",
    "n_rows": "Int64",
    "p": "Int64",
    "q": "Int64",
    "rank": "Int64",
    "condition": "Float64",
    "low": "Float64",
    "high": "Float64",
    "corrected": "Float64",
    "p_value": "Float64",
    "calibrated": "Float64",
    "effect_size": "Float64",
    "null_mean": "Float64",
    "p_closed": "Float64",
    "null_moments": "Int64",
    "null_gap": "Float64",
}
"""The columns of the data frame that comparisons in memory return, and their types."""

BESIDE: Final = tuple(name for name in COLUMNS if name in EXTRAS)
"""What may stand beside a number."""


def frame_of(
    numbers: Numbers, scored: ArraySummaries, indices: Sequence[Index], *, fit: str, images: int
) -> pd.DataFrame:
    """Return the numbers of all ordered pairs as a data frame with the columns `COLUMNS`.

    Parameters
    ----------
    fit
        On what maps were fitted, of indices that score one.
    images
        On how many samples indices over samples rest.
    """
    counts = {index.name: images if index.measure.computed_from == "samples" else None for index in indices}
    records = [
        _record(scored, (source, target), numbers[source, target, index.name], counts[index.name])
        | {"index": index.name, "fit": fit if index.measure.held_out else None}
        for source in scored.samples
        for target in scored.samples
        for index in indices
    ]
    # Small arrays take less time than a data frame whose types are found out first and changed afterwards.
    return pd.DataFrame(
        {name: _column([record[name] for record in records], dtype) for name, dtype in COLUMNS.items()}
    )


def _record(
    scored: ArraySummaries, pair: tuple[str, str], number: Number, images: int | None
) -> dict[str, object]:
    """Return what stands beside a number; `images` is how many it rests on, None for all rows of all samples."""
    source, target = pair
    grid = scored.grid(target)
    return {
        "source": source,
        "target": target,
        "value": number.value,
        "status": number.status,
        "reason": number.reason,
        "view": scored.view,
        "grid": grid_label(grid),
        "n_samples": len(scored.samples[source]) if images is None else images,
        "n_rows": scored.n_rows(source, grid) if images is None else images,
        "p": scored.width(source),
        "q": scored.width(target),
        **{name: number.extras.get(name) for name in BESIDE},
    }


def _column(values: list[Any], dtype: Any) -> ExtensionArray:
    """Return one column of the result in its type, with None for what is missing."""
    column: ExtensionArray = pd.array(values, dtype=dtype)
    return column
