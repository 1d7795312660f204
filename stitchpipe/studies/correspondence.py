"""Study **correspondence**: whether the best source in another network is the layer that corresponds to the target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from stitchpipe.studies.best_match import NEAR, STAGE, Matches, matches
from stitchpipe.studies.best_source import standing
from stitchpipe.studies.direct_standings import listed_standings, standings, table_of
from stitchpipe.studies.effect import mean_of_units, share_of_cases
from stitchpipe.studies.equal_budget import violations
from stitchpipe.studies.finding import SOURCE, Finding, fraction
from stitchpipe.studies.indices import By, title_of, title_under
from stitchpipe.studies.making import makings
from stitchpipe.studies.pairs import of_stitches
from stitchpipe.studies.stitches import by_models, comparable
from stitchpipe.studies.study import Need, Study

if TYPE_CHECKING:
    from stitchpipe.studies.best_source import Standing
    from stitchpipe.studies.evidence import Evidence


def task_loss(evidence: Evidence) -> Finding | None:
    """Answer how often TLM rates another layer at or above the corresponding one; None without such pairs."""
    stitched, layer_order = evidence.stitched, evidence.facts.layer_order
    across = stitched[by_models(stitched, partial(comparable, layer_order))]
    return violations(
        across,
        evidence,
        name="tlm-corresponding-layer",
        question="Does task loss matching rank a distant layer of another network at or above the corresponding one?",
        reference="the corresponding layer",
        claim="Task loss matching can rate very distant layers above architecturally corresponding ones "
        f"({SOURCE}).",
    )


def direct(evidence: Evidence) -> Finding | None:
    """Answer whether the best source in another network is the corresponding layer; None without any."""
    rows = standings(evidence, lambda pairs: pairs.across)
    if not rows:
        return None
    (label, _), first = next(iter(rows.items()))
    cases = first.cases.assign(top=first.cases["standing"] != "beaten", near=first.cases["layers away"] <= 1)
    return Finding(
        name="dm-corresponding-layer",
        question="Under direct matching, is the corresponding layer of another network the best source?",
        answer=f"By {label}, the best source is the corresponding layer for "
        f"{fraction(first.best + first.tied, first.targets)} target layers ({first.tied} tied), and at most one "
        f"layer away for {fraction(first.near, first.targets)}. {listed_standings(rows)}",
        claim="",
        outcome=None,
        criterion="",
        numbers=first.row(),
        table=table_of(rows),
        detail=first.listed,
        falsifier="Best sources spread over all depths: the layer itself for one target in as many as the source "
        "network has layers.",
        effects=(
            share_of_cases("share of target layers with the corresponding layer on top", cases, "top"),
            share_of_cases("share of target layers with the best source within ±1", cases, "near"),
            mean_of_units("lead of the corresponding layer over the best other", cases, "lead"),
        ),
        left_out=evidence.left_out,
    )


def indices(evidence: Evidence) -> Finding | None:
    """Answer which index finds the corresponding layer of another network; None without two such networks."""
    every = {by: standing(pairs.at(pairs.across)) for by, pairs in evidence.pairs.items()}
    rows = {by: ranking for by, ranking in every.items() if ranking.targets}
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
    shown = dict.fromkeys((best[0], worst[0]))
    return Finding(
        name="indices",
        question="Which index finds the corresponding layer of another network?",
        answer=f"The best source is the corresponding layer or a neighbour for {spread}.",
        claim="",
        outcome=None,
        criterion="",
        numbers={title_under(index, view): shares[index, view] for index, view in ranked},
        table=_by_view(rows, ranked),
        detail=pd.concat(
            [rows[index, view].listed.assign(index=title_of(index), view=view) for index, view in ranked]
        ),
        falsifier="Shares no larger than for a source drawn at random, which the finding on best sources has beside "
        "each of them.",
        effects=tuple(
            share_of_cases(
                f"share of target layers within ±1 by {title_under(index, view)}",
                rows[index, view].cases.assign(near=rows[index, view].cases["layers away"] <= 1),
                "near",
            )
            for index, view in shown
        ),
        left_out=evidence.left_out,
    )


def best_sources(evidence: Evidence) -> Finding | None:
    """Answer for every index and map where the best source lies; None without two networks that correspond."""
    rows = {by: found for by, found in _rankings(evidence).items() if len(found.cases)}
    if not rows:
        return None
    rule = next(
        (rule for rule in (NEAR, STAGE) if any(len(found.asked(rule)) for found in rows.values())), NEAR
    )
    shares = {by: found.share(rule, f"share {rule} by {_by(by)}") for by, found in rows.items()}
    known = {by: share for by, share in shares.items() if share is not None}
    ranked = sorted(known, key=lambda by: -known[by].value)
    chance = rows[ranked[0]].by_chance(rule)
    best, worst = known[ranked[0]], known[ranked[-1]]
    # An interval that holds the share by chance says that nothing was found.
    blind = [by for by in ranked if (known[by].low or 0.0) <= rows[by].by_chance(rule)]
    said = f" Not told from chance: {', '.join(map(_by, blind))}." if blind else ""
    where = "within one layer of the target's place" if rule == NEAR else "in the target's stage"
    return Finding(
        name="best-source",
        question="By every index and map, where does the best source of a layer lie?",
        answer=f"It lies {where} for {best.value:.0%} of target layers by {_by(ranked[0])} and for "
        f"{worst.value:.0%} by {_by(ranked[-1])}; a source drawn at random would for {chance:.0%}.{said}",
        claim="",
        outcome=None,
        criterion="",
        numbers={_by(by): known[by].value for by in ranked},
        table=pd.DataFrame([{"by": name, "view": view, **rows[name, view].row()} for name, view in rows]),
        detail=pd.concat(
            [found.cases.assign(by=name, view=view) for (name, view), found in rows.items()],
            ignore_index=True,
        ),
        falsifier=f"An interval that holds the share by chance, {chance:.0%}.",
        effects=tuple(known[by] for by in ranked),
        left_out=evidence.left_out,
    )


def _rankings(evidence: Evidence) -> dict[By, Matches]:
    """Return the best sources by every index under its view, and by every kind of stitch that has several sources."""
    found = {(title_of(index), view): matches(pairs) for (index, view), pairs in evidence.pairs.items()}
    stitched = evidence.stitched
    for making, block in stitched.groupby(makings(stitched), sort=False):
        found[f"stitches: {making}", ""] = matches(of_stitches(block, evidence.facts.axis))
    return found


def _by(by: By) -> str:
    return f"{by[0]} ({by[1]})" if by[1] else by[0]


def _by_view(rows: dict[By, Standing], ranked: list[By]) -> pd.DataFrame:
    """Return one row per index: how often the corresponding layer is strictly best, and a neighbour at most away."""
    table: dict[str, dict[str, str]] = {}
    for index, view in ranked:
        ranking = rows[index, view]
        table.setdefault(index, {"index": title_of(index)}).update(
            {
                f"{view}: strictly best": fraction(ranking.best, ranking.targets),
                f"{view}: within ±1": fraction(ranking.near, ranking.targets),
            }
        )
    return pd.DataFrame(list(table.values()))


def _listed(keys: list[By]) -> str:
    shown = [title_under(index, view) for index, view in keys[:3]]
    return "; ".join(shown) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def analysis(evidence: Evidence) -> list[Finding | None]:
    """Return all answers, of networks that learned something."""
    claims = evidence.claims
    return [task_loss(claims), direct(claims), indices(claims), best_sources(claims)]


CORRESPONDENCE = Study(
    name="correspondence",
    title="Corresponding layers",
    question="Is the layer that corresponds to another network's layer the most similar one?",
    needs=(
        Need(
            "two trained networks with the same layers, or equally many stages, and an index over their pairs",
            finding="best-source",
            toml='[[models]]\nname = "second"\narchitecture = "resnet18"    # that of the first\n'
            "train = { seed = 1 }",
        ),
        Need("direct matching of each other's layers", finding="dm-corresponding-layer"),
        Need(
            "task loss stitches between them at one budget: of the corresponding layer, and of others",
            finding="tlm-corresponding-layer",
        ),
    ),
    analysis=analysis,
)
