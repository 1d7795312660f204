"""Whether the layer that ought to be the best source of a target is: the layer itself, or the corresponding one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from stitchpipe.studies.ranking import Ranking

if TYPE_CHECKING:
    from stitchpipe.studies.pairs import Pairs

BEST, TIED, BEATEN = "best", "tied", "beaten"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the layer that ought to be best compares with the others, over a set of targets.

    Attributes
    ----------
    targets
        Targets where that layer and at least one other have a number.
    best, tied, beaten
        Strictly above all others; level with the best of them; below it.
    near
        Targets with a best source at most one layer away.
    excess
        The most by which another layer is above it; 0 if none is.
    cases
        One row per target.
    """

    targets: int
    best: int
    tied: int
    beaten: int
    near: int
    excess: float
    cases: pd.DataFrame

    @property
    def listed(self) -> pd.DataFrame:
        """The cases as a reader is shown them."""
        return self.cases.drop(columns=["target_model", "target_layer"])

    def row(self) -> dict[str, int | float]:
        """Return the counts under a reader's names."""
        return {
            "targets": self.targets,
            "strictly best": self.best,
            "tied": self.tied,
            "beaten": self.beaten,
            "within ±1": self.near,
            "largest excess": self.excess,
        }


def standing(pairs: Pairs) -> Standing:
    """Return how the layer at the target's own place stands among a model's layers, per pair of models.

    Parameters
    ----------
    pairs
        Of one model, or of models with the same layers.
    """
    ranking = Ranking.of(pairs)
    is_own = ranking.pairs.later_by == 0
    n_own = ranking.count(is_own)
    off = np.abs(ranking.pairs.later_by)
    asked = (n_own > 0) & (ranking.sizes > n_own)
    others, own = ranking.best(~is_own, off), ranking.best(is_own, off)
    return _counted(ranking.pairs.at(own.place[asked]), ranking.pairs.at(others.place[asked]))


def _counted(own: Pairs, other: Pairs) -> Standing:
    """Return the standing of some layers beside the best others for the same targets."""
    axis, ahead = own.axis, own.likeness - other.likeness
    is_level, is_ahead = own.value == other.value, own.likeness > other.likeness
    verdict = np.where(is_level, TIED, np.where(is_ahead, BEST, BEATEN))
    away = np.where(verdict == BEATEN, np.abs(other.later_by), 0)
    cells = (
        *(axis.models_of(own.target), axis.layers(own.target), axis.paths(own.target)),
        *(axis.models_of(own.source), own.value, axis.layers(other.source), other.value),
        *(ahead, verdict, away),
    )
    counts = {name: int((verdict == name).sum()) for name in (BEST, TIED, BEATEN)}
    excess = float(np.maximum(-ahead, 0.0).max(initial=0.0))
    return Standing(
        targets=len(own),
        **counts,
        near=int((away <= 1).sum()),
        excess=excess,
        cases=pd.DataFrame(dict(zip(_COLUMNS, cells, strict=True))),
    )


_COLUMNS: Final = (
    *("target_model", "target_layer", "target", "source model", "its own", "best other source", "its value"),
    *("lead", "standing", "layers away"),
)
