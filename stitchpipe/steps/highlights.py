"""Three things that a run says about its networks, in a sentence each: for the end of the command that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stitchpipe.graph import LOGITS
from stitchpipe.measures import OK
from stitchpipe.registry import find_measure

if TYPE_CHECKING:
    import pandas as pd

PREFERRED: Final = ("cka", "cka_biased", "procrustes_angle", "dm_r2")
"""By which measure layers are called alike: the first of these that there is, or else the first with a direction."""
KEEPS: Final = 0.95
"""A stitch that has this share of the target's accuracy is said to keep it."""
_ACCURACY: Final = "stitch_relative_accuracy"


def highlights(results: pd.DataFrame) -> list[dict[str, str]]:
    """Return the most and the least similar layers of two models, and what stitches keep; ``title`` and ``text`` each.

    Of a run of one model the layers are its own. What there are no numbers for is not said.
    """
    told = [*_alike(results), *_stitched(results)]
    return [{"title": title, "text": text} for title, text in told]


def _alike(results: pd.DataFrame) -> list[tuple[str, str]]:
    is_compared = results["method"].isna() & (results["status"] == OK)
    is_layer = (results["source_layer"] != LOGITS) & (results["target_layer"] != LOGITS)
    pairs = results[is_compared & is_layer]
    across = pairs[pairs["source_model"] != pairs["target_model"]]
    where = " of two models"
    if across.empty:
        across, where = pairs[pairs["source_layer"] != pairs["target_layer"]], ""
    chosen = _chosen(across)
    if chosen is None:
        return []
    measure, is_larger = chosen
    numbers = across[across["index"] == measure]
    numbers = numbers[
        numbers["view"] == ("pooled" if (numbers["view"] == "pooled").any() else numbers["view"].iloc[0])
    ]
    order = numbers.sort_values("value", ascending=not is_larger, kind="stable")
    return [(f"Most alike{where}", _pair(order.iloc[0])), (f"Least alike{where}", _pair(order.iloc[-1]))]


def _chosen(pairs: pd.DataFrame) -> tuple[str, bool] | None:
    """Return a measure that there is and that says what is similar, and whether larger is."""
    there = list(dict.fromkeys(pairs["index"]))
    for name in sorted(
        there, key=lambda name: PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
    ):
        measure = find_measure(name)
        if measure is not None and measure.larger_is_more_similar is not None:
            return name, measure.larger_is_more_similar
    return None


def _pair(row: pd.Series) -> str:
    limits = "" if row["low"] != row["low"] else f" [{row['low']:.3g}, {row['high']:.3g}]"
    ends = f"{row['source_model']}/{row['source_layer']} and {row['target_model']}/{row['target_layer']}"
    return f"{ends}: {row['index']} {row['value']:.3g}{limits}, {row['view']}"


def _stitched(results: pd.DataFrame) -> list[tuple[str, str]]:
    stitches = results[(results["index"] == _ACCURACY) & (results["status"] == OK)]
    if stitches.empty:
        return []
    kept = int((stitches["value"] >= KEEPS).sum())
    text = f"{kept} of {len(stitches)} keep {KEEPS:.0%} of the target's accuracy"
    others = stitches[stitches["source_model"] != stitches["target_model"]]
    if not others.empty:
        best = others.sort_values("value", ascending=False, kind="stable").iloc[0]
        ends = f"{best['source_model']}/{best['source_layer']} into {best['target_model']}/{best['target_layer']}"
        text += f"; from another model best: {ends}, {best['method']}, {best['value']:.3g} of it"
    return [("Stitches", text)]
