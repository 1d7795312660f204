"""Which pairs of layers are more similar than chance explains, for the whole family of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from stitchpipe.algebra.certainty import NO_FAMILY, holm
from stitchpipe.asking.ends import EVERYTHING, measured_layers
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.measured import measured
from stitchpipe.asking.pair_numbers import PAIR, PairNumbers
from stitchpipe.results import frame_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from stitchpipe.asking.ends import Ends, LayerNames
    from stitchpipe.asking.measured import Measured
    from stitchpipe.run.names import LayerName
    from stitchpipe.run.place import RunPlace

Null: TypeAlias = Literal["permuted", "closed"]
"""What a pair is held against: permuted images, or the closed form of that null, which has no limit of images."""

MOST_CLOSED: Final = 100
"""Pairs of a family up to which the adjusted p-value of a closed form is taken at its word."""
COLUMNS: Final = ("value", "low", "high", "effect_size", "p_closed", "n_samples")
ADJUSTED: Final = {
    "permuted": ("p_family", "p_by", "calibrated_family", "family"),
    "closed": ("p_holm", "null_moments", "family"),
}
"""What stands beside them, by the null: the family-wise p-value first."""


def significant(
    place: RunPlace,
    measure: str,
    source: Ends = EVERYTHING,
    target: Ends = EVERYTHING,
    *,
    view: str | None = None,
    below: float = 0.05,
    null: Null | None = None,
) -> pd.DataFrame:
    """Return the pairs whose family-wise p-value is below a level, the smallest first.

    Of a symmetric measure each pair is told once, though results have both directions. Pairs within one model are in no
    family, and so never among them.

    Parameters
    ----------
    null
        ``permuted``: `p_family`, of the largest in the family under permuted images. ``closed``: `p_holm`, which is
        `p_closed` adjusted after Holm over all layers of the two models, whichever of them are asked for; of any number
        of images. By default the permuted one where pairs have it.

    Returns
    -------
    DataFrame
        ``source``, ``target``, `COLUMNS` and those of `ADJUSTED`; the column ``family`` says over which pairs the
        p-value is.

    Raises
    ------
    WorkspaceError
        A name is none, or the measure has no family-wise p-values here: it has no null, its view has none, or nothing
        was permuted and the null has no closed form.

    Examples
    --------
    >>> run.significant("cka", "A/*", "B/*", view="pooled", below=0.05)  # doctest: +SKIP
    """
    what, layers = measured(place, measure, view), measured_layers(place)
    sources, targets = layers.matching(source), layers.matching(target)
    columns = dict.fromkeys((*COLUMNS, *ADJUSTED["permuted"], "null_moments"))
    frame = frame_of(PairNumbers(place, what, sources, targets).read([*columns]))
    if null is None:
        null = "closed" if frame["p_family"].isna().all() else "permuted"
    if null == "closed":
        frame = frame.drop(columns="family").merge(
            _holm(place, what, layers, (sources, targets)), on=list(PAIR), how="left"
        )
    adjusted = ADJUSTED[null][0]
    if frame[adjusted].isna().all():
        raise WorkspaceError(
            where=f"{what.name} under {what.view}, {len(frame)} pairs, {null} null",
            expected="family-wise p-values",
            found="none",
            remedy="Take pairs of different models, and a measure with a null under a view of one row an image "
            "(`stitchpipe indices`). Without permutations only CKA has one; for others the sweep needs [certainty] "
            "with `permutations` and a `family`.",
        )
    frame = frame[frame[adjusted] < below]
    ends = {side: frame[f"{side}_model"] + "/" + frame[f"{side}_layer"] for side in ("source", "target")}
    frame = frame.drop(columns=list(PAIR)).assign(**ends)
    if what.about is not None and what.about.symmetric:
        frame = _once(frame, layers)
    larger = what.about is None or what.about.larger_is_more_similar is not False
    # Of p-values that are equal, as those of the smallest are, the effect size tells more than the number.
    by = [adjusted, "effect_size", "value"]
    frame = frame.sort_values(by, ascending=[True, False, not larger], kind="stable")
    return frame[["source", "target", *COLUMNS, *ADJUSTED[null]]].reset_index(drop=True)


def _holm(
    place: RunPlace, what: Measured, layers: LayerNames, ends: tuple[Sequence[LayerName], Sequence[LayerName]]
) -> pd.DataFrame:
    """Return `p_holm` and the family of each pair, from all layers of the models that the ends are of."""
    models = [{name.model for name in side} for side in ends]
    sources, targets = ([name for name in layers.known if name.model in of_side] for of_side in models)
    frame = frame_of(PairNumbers(place, what, sources, targets).read(["p_closed"]))
    within = frame["source_model"] == frame["target_model"]
    families = np.where(within, NO_FAMILY, frame.groupby(["source_model", "target_model"]).ngroup())
    adjusted = holm(frame["p_closed"].to_numpy(np.float64, na_value=np.nan), families)
    family = np.full(len(frame), None, object)
    known = ~np.isnan(adjusted)
    sizes = dict(zip(*np.unique(families[known], return_counts=True), strict=True))
    family[known] = [closed_family(int(sizes[number])) for number in families[known]]
    return frame[list(PAIR)].assign(p_holm=adjusted, family=family)


def closed_family(n_pairs: int) -> str:
    """Return what an adjusted p-value of a closed form is over; with a remark where it is smaller than it should be.

    Of families of 10 pairs anything is found at 5 % in 5 % of null zoos, of 625 in 7 to 10: three moments do not tell a
    tail that far out (`stitchpipe certify`).
    """
    return (
        "models"
        if n_pairs <= MOST_CLOSED
        else f"models, {n_pairs} pairs: too many for a closed form, take permuted"
    )


def _once(frame: pd.DataFrame, layers: LayerNames) -> pd.DataFrame:
    """Return each pair in one direction."""
    order = {str(name): number for number, name in enumerate(layers.known)}
    at = np.sort(frame[["source", "target"]].map(order.__getitem__).to_numpy().reshape(-1, 2), axis=1)
    frame = frame.assign(low_end=at[:, 0], high_end=at[:, 1])
    return frame.drop_duplicates(["low_end", "high_end"]).drop(columns=["low_end", "high_end"])
