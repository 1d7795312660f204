"""How an index goes with what can be told from a layer as its principal components are deleted (Ding et al. 2021)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from stitchpipe.studies.effect import mean_of_units
from stitchpipe.studies.indices import sign_of
from stitchpipe.studies.rank_correlation import kendall, spearman

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from stitchpipe.studies.effect import Effect

    Floats = npt.NDArray[np.float64]

LEAST_RANKS: Final = 4
"""Of fewer ranks a correlation of one layer says nothing."""
DIGITS: Final = 9
"""Numbers that differ by less are the same: what rounding leaves of an index that does not move is no order."""
STATISTICS: Final = {"Spearman ρ": spearman, "Kendall τ": kendall}


def sensitivity(name: str, deletions: pd.DataFrame, index: str, view: str) -> dict[str, Effect]:
    """Return the mean over layers of the rank correlation of an index with what a probe tells, by statistic.

    Of each layer: the similarity of what is left to the whole against minus the difference of their accuracies, over
    the ranks that are kept, without the whole itself. An index that does not move at all while accuracies do has 0;
    layers whose accuracies do not move cannot be asked, nor can those with fewer than `LEAST_RANKS`. The units are
    layers, and networks from five on.
    """
    asked = deletions[(deletions["index"] == index) & (deletions["view"] == view)].dropna(subset="value")
    cases = [
        {"target_model": model, "target_layer": layer, **correlations}
        for (model, layer), of_layer in asked.groupby(["model", "layer"], sort=False, observed=True)
        if (correlations := _of_layer(of_layer, sign_of(index)))
    ]
    if not cases:
        return {}
    frame = pd.DataFrame(cases)
    return {
        statistic: _among_layers(
            mean_of_units(
                f"{statistic} with probe accuracy over low-rank deletions, {name}",
                frame,
                statistic,
                bounds=(-1.0, 1.0),
            )
        )
        for statistic in STATISTICS
    }


def immovable(deletions: pd.DataFrame) -> int:
    """Return of how many layers, under a view, accuracies do not move as components are deleted."""
    moved = deletions.groupby(["model", "layer", "view"], observed=True)["accuracy"].nunique()
    return int((moved == 1).sum())


def _among_layers(effect: Effect) -> Effect:
    """Return an effect whose units are named for what they are: here no layer is a target."""
    return replace(effect, unit=effect.unit.removeprefix("target "))


def _of_layer(rows: pd.DataFrame, sign: float) -> dict[str, float]:
    """Return the correlations of one layer; none where it cannot be asked."""
    fallen = -np.abs(rows["accuracy"].to_numpy() - rows["whole_accuracy"].to_numpy())
    likeness = np.round(sign * rows["value"].to_numpy(), DIGITS)
    if len(rows) < LEAST_RANKS or len(np.unique(np.round(fallen, DIGITS))) < 2:
        return {}
    return {name: _correlation(statistic, likeness, fallen) for name, statistic in STATISTICS.items()}


def _correlation(statistic: Callable[[Floats, Floats], float], likeness: Floats, fallen: Floats) -> float:
    value = statistic(likeness, np.round(fallen, DIGITS))
    return value if np.isfinite(value) else 0.0
