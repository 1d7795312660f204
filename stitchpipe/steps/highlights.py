"""Three things that a run says about its networks, in a sentence each: for the end of the command that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra.certainty import FAR
from stitchpipe.graph import LOGITS
from stitchpipe.measures import OK

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from stitchpipe.report import Comparison
    from stitchpipe.report.matrices import Matrix

PREFERRED: Final = ("cka", "cka_biased", "procrustes_angle", "dm_r2")
"""By which measure layers are called alike: the first of these that there is, or else the first of all."""
KEEPS: Final = 0.95
"""A stitch that has this share of the target's accuracy is said to keep it."""
_ACCURACY: Final = "stitch_relative_accuracy"


def highlights(compared: Comparison, stitches: pd.DataFrame) -> list[dict[str, str]]:
    """Return the most and the least similar layers of two models, and what stitches keep; ``title`` and ``text`` each.

    Of a run of one model the layers are its own. What there are no numbers for is not said. Where permuted nulls lie
    far from their closed form, that is said last.

    Parameters
    ----------
    stitches
        Their results, a row per number.
    """
    told = [*_alike(compared), *_stitched(stitches), *_nulls_apart(compared)]
    return [{"title": title, "text": text} for title, text in told]


def _alike(compared: Comparison) -> list[tuple[str, str]]:
    if not compared.matrices:
        return []
    matrix = min(compared.matrices, key=_rank)
    models = np.array([layer.model for layer in compared.axis], object)
    is_layer = np.array([layer.layer != LOGITS for layer in compared.axis], np.bool_)
    there = np.isfinite(matrix.values) & is_layer[:, None] & is_layer
    pairs, where = there & (models[:, None] != models), " of two models"
    if not pairs.any():
        pairs, where = there & ~np.eye(len(models), dtype=np.bool_), ""
    if not pairs.any():
        return []
    likeness = matrix.values if matrix.larger_is_more_similar else -matrix.values
    most, least = np.where(pairs, likeness, -np.inf).argmax(), np.where(pairs, likeness, np.inf).argmin()
    return [
        (f"{which} alike{where}", _pair(compared, matrix, np.unravel_index(at, pairs.shape)))
        for which, at in (("Most", most), ("Least", least))
    ]


def _nulls_apart(compared: Comparison) -> list[tuple[str, str]]:
    """Return whether permuted nulls disagree with their closed form, and where most; nothing where none does."""
    gaps = [
        (matrix, matrix.beside["null_gap"]) for matrix in compared.matrices if "null_gap" in matrix.beside
    ]
    apart = sum(int((gap > FAR).sum()) for _, gap in gaps)
    if not apart:
        return []
    matrix, gap = max(gaps, key=lambda both: float(np.nanmax(both[1], initial=0.0)))
    source, target = np.unravel_index(int(np.nanargmax(gap)), gap.shape)
    held = sum(int(np.isfinite(gap).sum()) for _, gap in gaps)
    text = (
        f"{apart} of {held} permuted nulls lie more than {FAR:g} standard errors from their closed form, most "
        f"{compared.axis[source]} and {compared.axis[target]}: {matrix.index}, "
        f"{matrix.view}, {float(gap[source, target]):.3g}. A few images outweigh all others there: trust p_value, not "
        "p_closed"
    )
    return [("Nulls", text)]


def _rank(matrix: Matrix) -> tuple[int, bool]:
    place = PREFERRED.index(matrix.index) if matrix.index in PREFERRED else len(PREFERRED)
    return place, matrix.view != "pooled"


def _pair(compared: Comparison, matrix: Matrix, at: Sequence[np.signedinteger]) -> str:
    source, target = map(int, at)
    low, high = (
        matrix.beside[side][source, target] if side in matrix.beside else np.nan for side in ("low", "high")
    )
    limits = f" [{low:.3g}, {high:.3g}]" if np.isfinite(low) else ""
    ends = f"{compared.axis[source]} and {compared.axis[target]}"
    return f"{ends}: {matrix.index} {matrix.values[source, target]:.3g}{limits}, {matrix.view}"


def _stitched(results: pd.DataFrame) -> list[tuple[str, str]]:
    if results.empty:
        return []
    stitches = results[(results["index"] == _ACCURACY) & (results["status"] == OK)]
    if stitches.empty:
        return []
    kept = int((stitches["value"] >= KEEPS).sum())
    text = f"{kept} of {len(stitches)} keep {KEEPS:.0%} of the target's accuracy"
    others = stitches[stitches["source_model"] != stitches["target_model"]]
    if not others.empty:
        best = others.sort_values("value", ascending=False, kind="stable").iloc[0]
        ends = f"{best['source_model']}/{best['source_layer']} into {best['target_model']}/{best['target_layer']}"
        text += f"; from another model best: {ends}, {best['method']}, {best['value']:.0%} of it"
    return [("Stitches", text)]
