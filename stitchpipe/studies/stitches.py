"""Stitches side by side: one row per stitch instead of one per number, with the depths of its two layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import norm

from stitchpipe.results import MAKING
from stitchpipe.stitching import CLASS_ACCURACY
from stitchpipe.studies.effect import LEVEL
from stitchpipe.studies.finding import StudyError
from stitchpipe.studies.measures import ACCURACY, BESIDE, TITLES, titles

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

LayerOrder: TypeAlias = Mapping[str, Sequence[str]]
"""Each model's layers, from input to output."""

LATE = 1 / 3
"""From which difference in relative depth (0 the first layer, 1 the last) a stitch counts as late → early."""

ACCURACY_ERROR = "accuracy_error"
"""The column of standard errors of accuracies, where images belong together and errors are over their groups."""
PAIR = ["source_model", "source_layer", "target_model", "target_layer"]
STITCH = [*PAIR, *MAKING]
BUDGET = [name for name in MAKING if name != "method"]
"""How a stitch was trained; a fitted one has none of it."""


def stitches(results: pd.DataFrame, layer_order: LayerOrder) -> pd.DataFrame:
    """Return one row per stitch: the pair, how it was made, a column per measure, and where the layers stand.

    Parameters
    ----------
    results
        The catalogue's long form.
    layer_order
        Every model that occurs, its layers from input to output.

    Returns
    -------
    DataFrame
        `STITCH`, ``final_loss``, ``n_samples``, ``key``; every measure but the accuracies on classes, those that
        packages add among them (NaN where there is no number), beside each its remark in ``<measure>_note``, and where
        any stitch has them ``<measure>_auroc``, ``_floor`` and ``_warned``; ``source_depth``, ``target_depth``
        (0, 1, …);
        ``lateness``, the difference in relative depth, positive where the source is later; ``kind``: ``self``,
        ``corresponding`` (same layer of another model with the same layers), ``late → early`` or ``other``.
        In the order in which stitches first occur.

    Raises
    ------
    StudyError
        A stitch has two numbers for one measure, or a layer is not in `layer_order`.
    """
    is_of_class = results["index"].str.startswith(f"{CLASS_ACCURACY.name}(")
    rows = results[results["method"].notna() & ~is_of_class]
    # A fitted stitch has no budget, and its missing values must not drop it from the groups.
    number = rows.groupby(STITCH, dropna=False, sort=False).ngroup()
    rows = rows.assign(stitch=number)
    _refuse_repeats(rows, ["stitch", "index"])
    wide = rows.drop_duplicates("stitch")[[*STITCH, "final_loss", "n_samples", "key"]].reset_index(drop=True)
    wide = pd.concat([wide, pd.DataFrame(_measured(rows, len(wide)), wide.index)], axis=1)
    if (errors := _accuracy_errors(rows, len(wide))) is not None:
        wide[ACCURACY_ERROR] = errors
    wide["source_depth"] = _depths(wide, "source", layer_order)
    wide["target_depth"] = _depths(wide, "target", layer_order)
    wide["lateness"] = _relative(wide, "source", layer_order) - _relative(wide, "target", layer_order)
    columns = [wide[column].tolist() for column in (*PAIR, "lateness")]
    wide["kind"] = [_kind(layer_order, *row) for row in zip(*columns, strict=True)]
    return wide


def _measured(rows: pd.DataFrame, n: int) -> dict[str, npt.NDArray[Any] | pd.Series]:
    """Return a column of `n` stitches for every measure, for its remarks, and for what stands beside it."""
    index, names = pd.factorize(rows["index"])
    stitch, reason = rows["stitch"].to_numpy(), rows["reason"]
    value, beside = rows["value"].to_numpy(float), {extra: rows[extra].to_numpy(float) for extra in BESIDE}
    # A number may have a remark, and a missing one has its status and the reason for it.
    is_ok = rows["status"] == "ok"
    note = reason.where(is_ok, rows["status"] + ": " + reason.fillna("")).astype(object).to_numpy()
    columns: dict[str, npt.NDArray[Any] | pd.Series] = {}
    for measure in titles((*TITLES, *names)):
        at = np.flatnonzero(names[index] == measure)
        columns[measure] = _spread(value[at], stitch[at], n)
        columns[f"{measure}_note"] = pd.Series(_spread(note[at], stitch[at], n), dtype=object)
        for extra, numbers in beside.items():
            if not np.isnan(numbers[at]).all():
                columns[f"{measure}_{extra}"] = _spread(numbers[at], stitch[at], n)
    return columns


def _accuracy_errors(rows: pd.DataFrame, n: int) -> npt.NDArray[np.float64] | None:
    """Return the standard errors of the accuracies of `n` stitches, from their limits; None where none has limits."""
    accuracies = rows[(rows["index"] == ACCURACY) & rows["low"].notna()]
    if accuracies.empty:
        return None
    half = (accuracies["high"] - accuracies["low"]).to_numpy(float) / 2
    return _spread(half / float(norm.ppf((1 + LEVEL) / 2)), accuracies["stitch"].to_numpy(), n)


def _spread(values: npt.NDArray[Any], places: npt.NDArray[np.intp], n: int) -> npt.NDArray[Any]:
    """Return values at their places among `n`, NaN elsewhere."""
    spread = np.full(n, np.nan, values.dtype)
    spread[places] = values
    return spread


def measures_of(stitched: pd.DataFrame) -> dict[str, str]:
    """Return the measures that `stitches` has columns of, with their titles, in the order of the page."""
    return titles(name.removesuffix("_note") for name in stitched.columns if name.endswith("_note"))


def comparable(layer_order: LayerOrder, source: str, target: str) -> bool:
    """Return whether two different models have the same layers, so that layers correspond by name."""
    return source != target and list(layer_order[source]) == list(layer_order[target])


def depth_of(layer_order: LayerOrder, model: str, layer: str) -> int:
    """Return a layer's place in its model, 0 for the first. Raises StudyError if it is not in `layer_order`."""
    try:
        return list(layer_order[model]).index(layer)
    except (KeyError, ValueError):
        raise StudyError(
            where="layer_order",
            expected=f"layer '{layer}' of model '{model}', which the results speak of",
            found=", ".join(layer_order[model]) if model in layer_order else "no such model",
            remedy="Pass every model's layers in order, or only the results of these models.",
        ) from None


def by_models(rows: pd.DataFrame, rule: Callable[[str, str], bool]) -> npt.NDArray[np.bool_]:
    """Return for each row whether a rule holds of its source's and its target's model; there are few of these."""
    source, sources = pd.factorize(rows["source_model"])
    target, targets = pd.factorize(rows["target_model"])
    if not len(rows):
        return np.zeros(0, np.bool_)
    holds: npt.NDArray[np.bool_] = np.array([[rule(s, t) for t in targets] for s in sources], np.bool_)[
        source, target
    ]
    return holds


def _refuse_repeats(rows: pd.DataFrame, key: list[str]) -> None:
    repeated = rows[rows.duplicated(key)]
    if len(repeated):
        first = repeated.iloc[0]
        raise StudyError(
            where=f"{first['index']} of {first['source_model']}/{first['source_layer']} -> "
            f"{first['target_model']}/{first['target_layer']}",
            expected="one number",
            found="several, from different runs into one folder",
            remedy="Read only the parts of one run: Catalogue.read(keys).",
        )


def matrices(results: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons among the results: rows that are not about a stitch.

    Raises
    ------
    StudyError
        Two numbers for one index of one pair under one view.
    """
    rows = results[results["method"].isna()]
    _refuse_repeats(rows, ["index", "view", *PAIR])
    return rows


def _depths(wide: pd.DataFrame, side: str, layer_order: LayerOrder) -> list[int]:
    pairs = zip(wide[f"{side}_model"], wide[f"{side}_layer"], strict=True)
    return [depth_of(layer_order, model, layer) for model, layer in pairs]


def _relative(wide: pd.DataFrame, side: str, layer_order: LayerOrder) -> pd.Series:
    # A model of one layer has depth 0 at both ends.
    last = [max(len(layer_order[model]) - 1, 1) for model in wide[f"{side}_model"]]
    return wide[f"{side}_depth"] / last


def _kind(
    layer_order: LayerOrder, source: str, source_layer: str, target: str, target_layer: str, lateness: float
) -> str:
    if source_layer == target_layer:
        if source == target:
            return "self"
        if comparable(layer_order, source, target):
            return "corresponding"
    # Relative depths are quotients, so that the threshold is met up to rounding.
    return "late → early" if lateness >= LATE - 1e-9 else "other"
