"""The question for the layers most similar to one, as a statement whose filters reach the files."""

from __future__ import annotations

from typing import Literal, TypeAlias

from stitchpipe.registry import find_measure
from stitchpipe.results.query import QueryError

Side: TypeAlias = Literal["source", "target"]
"""What a layer is in a directed number."""


def nearest_sql(measure: str, side: Side, k: int) -> tuple[str, tuple[int]]:
    """Return the statement and the last of its values.

    Its question marks stand for the measure, the view, the layer's model and name, the same again, and `k`.

    Raises
    ------
    QueryError
        No such measure, or its values say nothing of similarity; or `k` is not positive.
    """
    described = find_measure(measure)
    if described is None or described.larger_is_more_similar is None:
        raise QueryError(
            where=f"nearest by {measure!r}",
            expected="a measure whose values say what is more similar",
            found="no such measure" if described is None else "one that says nothing of similarity",
            remedy="`stitchpipe indices` lists the measures.",
        )
    if k < 1:
        raise QueryError(
            where="nearest", expected="k of at least 1", found=str(k), remedy="Ask for more layers."
        )
    other = "source" if side == "target" else "target"
    order = "DESC" if described.larger_is_more_similar else "ASC"
    sql = (
        f"SELECT {other}_model AS model, {other}_layer AS layer, {other}_depth AS depth, "  # noqa: S608  (our own words)
        "value, low, high, p_value, n_samples FROM results "
        f'WHERE "index" = ? AND view = ? AND {side}_model = ? AND {side}_layer = ? '
        f"AND NOT ({other}_model = ? AND {other}_layer = ?) AND status = 'ok' AND method IS NULL "
        f"ORDER BY value {order}, model, depth, layer LIMIT ?"
    )
    return sql, (k,)
