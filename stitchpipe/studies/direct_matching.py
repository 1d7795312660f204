"""Direct matching: whether it knows which layer is which, and whether it declines with distance."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from stitchpipe.registry import find_measure
from stitchpipe.studies.best_source import Standing, standing
from stitchpipe.studies.finding import OUTCOME_RULE, SOURCE, Finding, Outcome, fraction, outcome_of, signed
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.stitches import PAIR, LayerOrder, comparable

Measure: TypeAlias = tuple[str, str]
"""What layers are ranked by, and under which view."""

SHARED, TRAINED = "DM, the pairs that TLM was trained on", "TLM, the same pairs"
ACCURACY: Measure = ("stitched accuracy", "")


def own_layer(compared: pd.DataFrame, stitched: pd.DataFrame, layer_order: LayerOrder) -> Finding | None:
    """Answer whether a layer is its own best source under direct matching; None without such results."""
    own = {model: {model} for model in layer_order}
    rows = _standings(compared, stitched, layer_order, own)
    if not rows:
        return None
    (label, _), first = next(iter(rows.items()))
    top = first.best + first.tied
    return Finding(
        name="dm-own-layer",
        question="Under direct matching, is a layer its own best source?",
        answer=f"By {label}, no other layer is above the layer itself for {fraction(top, first.targets)} target "
        f"layers ({first.best} strictly best, {first.tied} tied). {_others(rows)}",
        claim=f"Direct matching passes structural and functional tests of similarity ({SOURCE}).",
        outcome=outcome_of(top, first.targets),
        criterion=f"Read here as no other layer above the layer itself, by {label}: {OUTCOME_RULE}.",
        numbers=first.row(),
        table=_table(rows),
        detail=first.cases,
    )


def corresponding_layer(
    compared: pd.DataFrame, stitched: pd.DataFrame, layer_order: LayerOrder
) -> Finding | None:
    """Answer whether the best source in another network is the corresponding layer; None without any."""
    rows = _standings(compared, stitched, layer_order, _counterparts(layer_order))
    if not rows:
        return None
    (label, _), first = next(iter(rows.items()))
    return Finding(
        name="dm-corresponding-layer",
        question="Under direct matching, is the corresponding layer of another network the best source?",
        answer=f"By {label}, the best source is the corresponding layer for "
        f"{fraction(first.best + first.tied, first.targets)} target layers ({first.tied} tied), and at most one "
        f"layer away for {fraction(first.near, first.targets)}. {_others(rows)}",
        claim="",
        outcome=None,
        criterion="",
        numbers=first.row(),
        table=_table(rows),
        detail=first.cases,
    )


def indices(compared: pd.DataFrame, layer_order: LayerOrder) -> Finding | None:
    """Answer which index finds the corresponding layer of another network; None without two such networks."""
    counterparts = _counterparts(layer_order)
    rows: dict[Measure, Standing] = {}
    for (index, view), block in compared.groupby(["index", "view"], sort=False):
        name = str(index)
        ranking = _standing(block, layer_order, counterparts, larger=_larger(name))
        if ranking.targets:
            rows[name, str(view)] = ranking
    if not rows:
        return None
    shares = {key: ranking.near / ranking.targets for key, ranking in rows.items()}
    ranked = sorted(rows, key=lambda key: -shares[key])
    # Several indices may be level at the top or at the bottom, and all of them are named.
    best = [key for key in ranked if shares[key] == shares[ranked[0]]]
    worst = [key for key in ranked if shares[key] == shares[ranked[-1]]]
    spread = (
        f"between {shares[worst[0]]:.0%} ({_listed(worst)}) and {shares[best[0]]:.0%} ({_listed(best)}) of targets"
        if len(best) < len(ranked)
        else f"{shares[best[0]]:.0%} of targets by every index"
    )
    return Finding(
        name="indices",
        question="Which index finds the corresponding layer of another network?",
        answer=f"The best source is the corresponding layer or a neighbour for {spread}.",
        claim="",
        outcome=None,
        criterion="",
        numbers={f"{_title(index)} ({view})": shares[index, view] for index, view in ranked},
        table=_by_view(rows, ranked),
        detail=pd.concat(
            [rows[index, view].cases.assign(index=_title(index), view=view) for index, view in ranked]
        ),
    )


def depth(stitched: pd.DataFrame) -> Finding | None:
    """Answer whether stitched accuracy falls with distance in depth, for DM and, on its pairs, for TLM."""
    known = stitched.dropna(subset=[RELATIVE])
    direct, trained = (known[known["method"] == method] for method in ("dm", "tlm"))
    # Direct matching may cover more pairs than were trained, so the two are compared on the pairs that both
    # have.
    shared = direct.merge(trained[PAIR].drop_duplicates(), on=PAIR)
    blocks = {
        f"DM, {s} into {t}": block for (s, t), block in direct.groupby(["source_model", "target_model"])
    }
    within = {name: rho for name, block in blocks.items() if (rho := _spearman(block)) is not None}
    if not within:
        return None
    blocks |= {SHARED: shared, TRAINED: trained}
    rhos = {name: rho for name, block in blocks.items() if (rho := _spearman(block)) is not None}
    said = "; ".join(f"{name} {signed(rho)}" for name, rho in rhos.items())
    return Finding(
        name="depth",
        question="Does stitched accuracy fall with the distance in depth?",
        answer=f"Spearman correlation of relative accuracy with the number of layers between: {said}.",
        claim=f"Task loss matching gives high similarity between distant layers ({SOURCE}).",
        outcome=_flatter(rhos.get(SHARED), rhos.get(TRAINED)),
        criterion="Accuracy falls less with distance under task loss matching than under direct matching of the same "
        "pairs.",
        numbers={f"Spearman ρ, {name}": rho for name, rho in rhos.items()},
        table=pd.DataFrame(
            [
                {"stitches": name, "how many": len(blocks[name]), "Spearman ρ": rho}
                for name, rho in rhos.items()
            ]
        ),
        detail=_distances(known),
    )


def _flatter(direct: float | None, trained: float | None) -> Outcome | None:
    """Return whether TLM falls less with distance than DM; None where one of them is unknown."""
    if direct is None or trained is None:
        return None
    return "as claimed" if trained > direct else "not as claimed"


def _counterparts(layer_order: LayerOrder) -> dict[str, set[str]]:
    return {
        target: {source for source in layer_order if comparable(layer_order, source, target)}
        for target in layer_order
    }


def _standings(
    compared: pd.DataFrame,
    stitched: pd.DataFrame,
    layer_order: LayerOrder,
    sources: dict[str, set[str]],
) -> dict[Measure, Standing]:
    """Return the standing by stitched accuracy, then by the direct-matching indices of each view."""
    direct = stitched[stitched["method"] == "dm"].rename(columns={RELATIVE: "value"})
    rows: dict[Measure, Standing] = {ACCURACY: _standing(direct, layer_order, sources, larger=True)}
    for (index, view), block in compared.groupby(["index", "view"], sort=False):
        if str(index).startswith("dm_"):
            label = _title(str(index)).removeprefix("Direct matching, ")
            rows[label, str(view)] = _standing(block, layer_order, sources, larger=_larger(str(index)))
    return {label: ranking for label, ranking in rows.items() if ranking.targets}


def _standing(
    values: pd.DataFrame, layer_order: LayerOrder, sources: dict[str, set[str]], *, larger: bool
) -> Standing:
    # Whether a pair counts follows from its models, of which there are few.
    source, sources_there = pd.factorize(values["source_model"])
    target, targets_there = pd.factorize(values["target_model"])
    counts = np.array([[x in sources.get(y, ()) for y in targets_there] for x in sources_there], np.bool_)
    wanted = counts[source, target] if len(values) else np.zeros(0, np.bool_)
    return standing(values[wanted], layer_order, larger_is_better=larger)


def _others(rows: dict[Measure, Standing]) -> str:
    """Return how often the layer is strictly best by all measures but the first, together."""
    rest = [ranking for measure, ranking in rows.items() if measure != next(iter(rows))]
    if not rest:
        return ""
    best, targets = (
        sum(ranking.best for ranking in rest),
        sum(ranking.targets for ranking in rest),
    )
    return f"By the held-out fit itself (R², structural error) it is strictly best in {fraction(best, targets)} cases."


def _table(rows: dict[Measure, Standing]) -> pd.DataFrame:
    return pd.DataFrame(
        [{"by": label, "view": view, **ranking.row()} for (label, view), ranking in rows.items()]
    )


def _spearman(block: pd.DataFrame) -> float | None:
    """Return the rank correlation of distance and accuracy; None for fewer than three stitches, or no variation."""
    distance = (block["source_depth"] - block["target_depth"]).abs()
    if len(block) < 3 or distance.nunique() < 2 or block[RELATIVE].nunique() < 2:
        return None
    return float(spearmanr(distance, block[RELATIVE]).statistic)


def _by_view(rows: dict[Measure, Standing], ranked: list[Measure]) -> pd.DataFrame:
    """Return one row per index: how often the corresponding layer is strictly best, and a neighbour at most away."""
    table: dict[str, dict[str, str]] = {}
    for index, view in ranked:
        ranking = rows[index, view]
        table.setdefault(index, {"index": _title(index)}).update(
            {
                f"{view}: strictly best": fraction(ranking.best, ranking.targets),
                f"{view}: within ±1": fraction(ranking.near, ranking.targets),
            }
        )
    return pd.DataFrame(list(table.values()))


def _distances(known: pd.DataFrame) -> pd.DataFrame:
    """Return mean relative accuracy by the number of layers between, for each method and pair of models."""
    distance = (known["source_depth"] - known["target_depth"]).abs()
    rows = known.assign(method=known["method"].str.upper(), **{"layers between": distance})
    keys = ["method", "source_model", "target_model", "layers between"]
    table = rows.groupby(keys)[RELATIVE].agg(["count", "mean", "min", "max"])
    return table.reset_index()


def _larger(index: str) -> bool:
    measure = find_measure(index)
    return measure is None or measure.larger_is_more_similar is not False


def _title(index: str) -> str:
    measure = find_measure(index)
    return measure.title if measure else index


def _listed(keys: list[tuple[str, str]]) -> str:
    shown = [f"{_title(index)} ({view})" for index, view in keys[:3]]
    return "; ".join(shown) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
