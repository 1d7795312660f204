"""Which layers are most similar to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, Unpack

from stitchpipe.asking.ends import EVERYTHING, measured_layers
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.measured import measured
from stitchpipe.asking.pair_numbers import PairNumbers
from stitchpipe.results import frame_of
from stitchpipe.run.names import LayerName

if TYPE_CHECKING:
    import pandas as pd

    from stitchpipe.asking.ends import Ends
    from stitchpipe.asking.selection import StitchChoice
    from stitchpipe.run.place import RunPlace

Side: TypeAlias = Literal["source", "target"]
"""What a layer is in a directed number."""

BESIDE = ("value", "low", "high", "p_value", "p_family", "n_samples")
"""The columns beside each layer."""


def nearest(
    place: RunPlace,
    end: str,
    *,
    among: Ends = EVERYTHING,
    measure: str = "cka",
    view: str | None = None,
    side: Side = "target",
    top: int = 10,
    **stitch: Unpack[StitchChoice],
) -> pd.DataFrame:
    """Return the layers most similar to one by a measure, the most similar first.

    Parameters
    ----------
    end
        ``MODEL/LAYER``, or a glob that means one layer.
    among
        Globs over the layers that are asked about; default: all. The layer itself is never among them.
    measure
        Its name as in the results, such as ``cka`` or ``gulp(0.1)``. What is more similar follows from it: of a
        distance the smallest, of a similarity the largest.
    view
        Needed only where the measure was taken under several.
    side
        What the layer is: the ``target`` of the numbers that are looked at, or their ``source``.
    top
        At most so many.
    stitch
        ``method``, ``init``, ``objective``, ``seed``, ``steps``: which stitches, for measures of stitches.

    Returns
    -------
    DataFrame
        ``end``, ``model``, ``layer``, and `BESIDE`: value, limits of its interval, p-values and images.

    Raises
    ------
    WorkspaceError
        A name is none or means several, the measure says nothing of similarity, there are no such numbers, or several
        of one pair.
    stitchpipe.results.QueryError
        There are no results.

    Notes
    -----
    Reads the numbers of one layer and one measure: at most as many as there are layers.

    Examples
    --------
    >>> run.nearest("A/layer2.0", among="B/*", measure="cka", view="pooled", top=10)  # doctest: +SKIP
    """
    if top < 1:
        raise WorkspaceError(
            where="nearest", expected="top of at least 1", found=str(top), remedy="Ask for more layers."
        )
    what, layers = measured(place, measure, view), measured_layers(place)
    larger = what.demand_direction()
    own, others = layers.one(end), layers.matching(among)
    sources, targets = (others, [own]) if side == "target" else ([own], others)
    frame = frame_of(PairNumbers(place, what, sources, targets, dict(stitch)).read([*BESIDE, "status"]))
    other = "source" if side == "target" else "target"
    frame = frame.rename(columns={f"{other}_model": "model", f"{other}_layer": "layer"})
    frame = frame[
        (frame["status"] == "ok") & ~((frame["model"] == own.model) & (frame["layer"] == own.layer))
    ]
    if frame.empty:
        raise WorkspaceError(
            where=f"nearest to {own}",
            expected=f"numbers of {what.name} under {what.view} with it as {side}",
            found=f"none among {len(others)} layers",
            remedy=f"Widen `among`, or ask with side='{other}'.",
        )
    place_of = {name: number for number, name in enumerate(layers.known)}
    frame = frame.assign(
        end=frame["model"] + "/" + frame["layer"],
        order=[place_of[name] for name in map(LayerName, frame["model"], frame["layer"])],
    )
    frame = frame.sort_values(["value", "order"], ascending=[not larger, True]).head(top)
    return frame[["end", "model", "layer", *BESIDE]].reset_index(drop=True)
