"""For each target layer the best source of another network, by whatever measure: which layer, and how far off.

The networks may differ in depth: then no layer corresponds by name, and stages do where there are equally many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stitchpipe.studies.effect import Effect, share_of_cases
from stitchpipe.studies.rank_correlation import spearman
from stitchpipe.studies.ranking import Ranking

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.studies.pairs import Pairs

SIGNIFICANT: Final = 0.05
NEAR, STAGE, EXACT = "within ±1", "same stage", "exact"
RULES: Final = (EXACT, NEAR, STAGE)


@dataclass(frozen=True, slots=True)
class Matches:
    """The best source of each target layer, over pairs of different networks.

    Attributes
    ----------
    cases
        One row per target layer and source network: ``best`` (of several that share the best value the nearest in
        depth), ``tied``, ``exact``, ``within ±1`` and ``same stage`` as 0 and 1 (NaN where nothing corresponds), what
        each would be for a source drawn at random (``… by chance``), and ``p_family`` of the best.
    """

    cases: pd.DataFrame

    def share(self, rule: str, what: str) -> Effect | None:
        """Return for how many targets a rule holds of those where it can be asked; None where it cannot."""
        asked = self.asked(rule)
        return share_of_cases(what, asked, rule) if len(asked) else None

    def asked(self, rule: str) -> pd.DataFrame:
        """Return the cases where a rule can be asked, with its truth as a boolean."""
        asked = self.cases[self.cases[rule].notna()]
        return asked.assign(**{rule: asked[rule].astype(bool)})

    def by_chance(self, rule: str) -> float:
        """Return how often a rule would hold for sources drawn at random."""
        return float(self.cases[f"{rule} by chance"].mean())

    def row(self) -> dict[str, Any]:
        """Return the counts under a reader's names."""
        told: dict[str, Any] = {"targets": len(self.cases)}
        for rule in RULES:
            asked = self.asked(rule)
            if len(asked):
                told |= {rule: float(asked[rule].mean()), f"{rule} by chance": self.by_chance(rule)}
        told["tied"] = int(self.cases["tied"].sum())
        known = self.cases["p_family"].dropna()
        if len(known):
            share = f"{int((known < SIGNIFICANT).sum())} of {len(known)}"
            told[f"family-wise p < {SIGNIFICANT:g}"] = share
        return told | {"depth ρ": self.depth_correlation()}

    def depth_correlation(self) -> float | None:
        """Return the mean over pairs of networks of the rank correlation of a target's depth with its best source's."""
        rhos = [
            spearman(block["target depth"].to_numpy(float), block["source depth"].to_numpy(float))
            for _, block in self.cases.groupby(["source_model", "target_model"], sort=False, observed=True)
        ]
        known = [rho for rho in rhos if np.isfinite(rho)]
        return float(np.mean(known)) if known else None


def matches(pairs: Pairs) -> Matches:
    """Return the best sources of all target layers among each other model's layers.

    Parameters
    ----------
    pairs
        Those of different models that correspond by layers or by stages are looked at. A target is asked about where at
        least two layers of the source have a number.
    """
    ranking = Ranking.of(pairs.at(pairs.across | pairs.staged))
    axis, ranked = ranking.pairs.axis, ranking.pairs
    off = np.abs(axis.relative[ranked.source] - axis.relative[ranked.target])
    # Of several at the top the nearest stands for them: a tie never counts against the corresponding layer.
    top = ranking.best(np.ones(len(ranked), np.bool_), off)
    asked = np.flatnonzero(ranking.sizes > 1)
    # Cases stand where their best source stood.
    asked = asked[np.argsort(ranking.order[top.place[asked]])]
    best = ranked.at(top.place[asked])
    truths = _truths(ranked)
    with np.errstate(invalid="ignore"):  # of a rule that cannot be asked there is no share
        chance = {
            rule: (ranking.count(truth == 1) / ranking.count(np.isfinite(truth)))[asked]
            for rule, truth in truths.items()
        }
    p_family = np.full(len(best), np.nan) if best.p_family is None else best.p_family
    return Matches(
        pd.DataFrame(
            {
                "source_model": axis.models_of(best.source),
                "target_model": axis.models_of(best.target),
                "target_layer": axis.layers(best.target),
                "best": axis.layers(best.source),
                "tied": top.level[asked] > 1,
                **{rule: truth[top.place[asked]] for rule, truth in truths.items()},
                **{f"{rule} by chance": share for rule, share in chance.items()},
                "p_family": p_family,
                "source depth": axis.depth[best.source].astype(float),
                "target depth": axis.depth[best.target].astype(float),
            }
        )
    )


def _truths(pairs: Pairs) -> dict[str, npt.NDArray[np.float64]]:
    """Return of each pair what would hold if its source were the best: 1, 0, or NaN where it cannot be asked."""
    stage = pairs.axis.stage
    return {
        EXACT: np.where(pairs.across, pairs.later_by == 0, np.nan),
        NEAR: np.where(pairs.across, np.abs(pairs.later_by) <= 1, np.nan),
        STAGE: np.where(pairs.staged, stage[pairs.source] == stage[pairs.target], np.nan),
    }
