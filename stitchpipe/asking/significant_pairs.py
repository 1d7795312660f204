"""Which pairs of layers are more similar than chance explains, for the whole family of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.asking.ends import EVERYTHING, measured_layers
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.measured import measured
from stitchpipe.asking.pair_numbers import PAIR, PairNumbers
from stitchpipe.results import frame_of

if TYPE_CHECKING:
    import pandas as pd

    from stitchpipe.asking.ends import Ends
    from stitchpipe.run.place import RunPlace

COLUMNS = ("value", "low", "high", "p_family", "p_by", "calibrated_family", "family", "n_samples")


def significant(
    place: RunPlace,
    measure: str,
    source: Ends = EVERYTHING,
    target: Ends = EVERYTHING,
    *,
    view: str | None = None,
    below: float = 0.05,
) -> pd.DataFrame:
    """Return the pairs whose family-wise p-value is below a level, the smallest first.

    Of a symmetric measure each pair is told once, though results have both directions. Pairs within one model are in no
    family, and so never among them.

    Returns
    -------
    DataFrame
        ``source``, ``target``, and `COLUMNS`; the column ``family`` says over which pairs the p-value is.

    Raises
    ------
    WorkspaceError
        A name is none, or the measure has no family-wise p-values here: it has no null, its view has none, or nothing
        was permuted.

    Examples
    --------
    >>> run.significant("cka", "A/*", "B/*", view="pooled", below=0.05)  # doctest: +SKIP
    """
    what, layers = measured(place, measure, view), measured_layers(place)
    sources, targets = layers.matching(source), layers.matching(target)
    frame = frame_of(PairNumbers(place, what, sources, targets).read(COLUMNS))
    if frame["p_family"].isna().all():
        raise WorkspaceError(
            where=f"{what.name} under {what.view}, {len(frame)} pairs",
            expected="family-wise p-values",
            found="none",
            remedy="Take pairs of different models, and a measure with a null under a view of one row an image "
            "(`stitchpipe indices`); the sweep needs [certainty] with `permutations` and a `family`.",
        )
    frame = frame[frame["p_family"] < below]
    ends = {side: frame[f"{side}_model"] + "/" + frame[f"{side}_layer"] for side in ("source", "target")}
    frame = frame.drop(columns=list(PAIR)).assign(**ends)
    if what.about is not None and what.about.symmetric:
        order = {str(name): number for number, name in enumerate(layers.known)}
        at = np.sort(frame[["source", "target"]].map(order.__getitem__).to_numpy().reshape(-1, 2), axis=1)
        frame = frame.assign(low_end=at[:, 0], high_end=at[:, 1])
        frame = frame.drop_duplicates(["low_end", "high_end"]).drop(columns=["low_end", "high_end"])
    larger = what.about is None or what.about.larger_is_more_similar is not False
    frame = frame.sort_values(["p_family", "value"], ascending=[True, not larger], kind="stable")
    return frame[["source", "target", *COLUMNS]].reset_index(drop=True)
