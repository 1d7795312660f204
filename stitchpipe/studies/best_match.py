"""For each target layer the best source of another network, by whatever measure: which layer, and how far off.

The networks may differ in depth: then no layer corresponds by name, and stages do where there are equally many.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from stitchpipe.studies.effect import Effect, share_of_cases
from stitchpipe.studies.rank_correlation import spearman
from stitchpipe.studies.stitches import by_models, comparable, depths_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.studies.facts import Facts

SIGNIFICANT: Final = 0.05
NEAR, STAGE, EXACT = "within ±1", "same stage", "exact"
TARGET: Final = ["source_model", "target_model", "target_layer"]


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
        for rule in (EXACT, NEAR, STAGE):
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


def matches(values: pd.DataFrame, facts: Facts, *, larger: bool) -> Matches:
    """Return the best sources of all target layers among each other network's layers.

    Parameters
    ----------
    values
        The pair, ``value``, and ``p_family`` where there is one. Missing values are left out; a target is asked about
        where at least two layers of the source have a number.
    larger
        Whether more is more similar.
    """
    rows = _asked(values.dropna(subset=["value"]), facts)
    rows = rows[rows.groupby(TARGET, sort=False, observed=True)["value"].transform("size") > 1]
    if rows.empty:
        return Matches(pd.DataFrame(columns=[*_COLUMNS]))
    rows = rows.assign(likeness=rows["value"] if larger else -rows["value"], **_truths(rows, facts))
    by_target = rows.groupby(TARGET, sort=False, observed=True)
    rows = rows.assign(
        is_level=rows["likeness"] == by_target["likeness"].transform("max"),
        **{f"{rule} by chance": by_target[rule].transform("mean") for rule in (EXACT, NEAR, STAGE)},
    )
    level = rows[rows["is_level"]]
    tied = level.groupby(TARGET, sort=False, observed=True)["value"].transform("size") > 1
    # Of several at the top the nearest stands for them: a tie never counts against the corresponding layer.
    level = (
        level.assign(tied=tied)
        .sort_values("off", kind="stable")
        .drop_duplicates(TARGET)
        .sort_index(kind="stable")
    )
    named = level.rename(columns={"source_layer": "best"})
    if "p_family" not in named:
        named = named.assign(p_family=np.nan)
    return Matches(named[[*_COLUMNS]].reset_index(drop=True))


_COLUMNS: Final = (
    *("source_model", "target_model", "target_layer", "best", "tied", EXACT, NEAR, STAGE),
    *(f"{rule} by chance" for rule in (EXACT, NEAR, STAGE)),
    *("p_family", "source depth", "target depth"),
)


def _asked(known: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return the rows of pairs of different networks that correspond by layers or by stages."""
    order = facts.layer_order
    asked: pd.DataFrame = known[
        by_models(known, lambda s, t: comparable(order, s, t) or facts.have_same_stages(s, t))
    ]
    return asked


def _truths(rows: pd.DataFrame, facts: Facts) -> dict[str, npt.NDArray[np.float64]]:
    """Return of each row what would hold if its source were the best: 1, 0, or NaN where it cannot be asked."""
    order = facts.layer_order
    source, target = (depths_of(rows, side, order) for side in ("source", "target"))
    last = [
        rows[f"{side}_model"]
        .map({model: max(len(layers) - 1, 1) for model, layers in order.items()})
        .to_numpy(float)
        for side in ("source", "target")
    ]
    has_names = by_models(rows, partial(comparable, order))
    at_home, there = (_stages(rows, side, facts) for side in ("target", "source"))
    return {
        EXACT: np.where(has_names, source == target, np.nan),
        NEAR: np.where(has_names, np.abs(source - target) <= 1, np.nan),
        STAGE: np.where(np.isfinite(at_home - there), at_home == there, np.nan),
        "source depth": source,
        "target depth": target,
        "off": np.abs(source / last[0] - target / last[1]),
    }


def _stages(rows: pd.DataFrame, side: str, facts: Facts) -> npt.NDArray[np.float64]:
    """Return the stage of one end of each row, NaN where the other end's model has not as many."""
    depth = depths_of(rows, side, facts.layer_order).astype(int)
    models = rows[f"{side}_model"].tolist()
    counts = {model: max(stages) for model, stages in facts.stages.items()}
    other = rows[f"{'target' if side == 'source' else 'source'}_model"].tolist()
    return np.array(
        [
            facts.stages[model][at] if model in counts and counts[model] == counts.get(rival) else np.nan
            for model, rival, at in zip(models, other, depth.tolist(), strict=True)
        ],
        np.float64,
    )
