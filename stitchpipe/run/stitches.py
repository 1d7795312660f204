"""The stitches that a sweep declares, one by one: globs and pairings expanded, impossible ones refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stitchpipe.config import (
    ConfigError,
    DirectStitch,
    TrainedStitch,
)
from stitchpipe.run.names import TRAIN, LayerName, Pair
from stitchpipe.run.planned_stitch import AFFINE, PlannedStitch, PlannedStitches
from stitchpipe.run.stitch_refusals import (
    demand_equal_widths,
    demand_images,
    demand_logits,
    demand_network,
    info_of,
    misfit,
)
from stitchpipe.run.stitched_layers import NamedLayers, StitchedLayers
from stitchpipe.stitching import TrainingBudget

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stitchpipe.config import Stitch, Sweep
    from stitchpipe.run.data import RunData
    from stitchpipe.run.layers import LayerTable

MOST_STITCHES: Final = 1_000_000
"""In a table: each is made, planned and trained one by one."""


def planned_stitches(
    sweep: Sweep, spelt: Sequence[Stitch], table: LayerTable, headless: Collection[str] = ()
) -> PlannedStitches:
    """Return the declared stitches, and the pairs of layers that are left out of them.

    Parameters
    ----------
    spelt
        The sweep's tables of stitches, with names in place of words for layers.
    headless
        Models whose networks give features and no logits.

    Raises
    ------
    ConfigError
        A glob matches no layer, layers that are named cannot be stitched, or none that globs match can; identity is
        asked of unequal widths, or logits of a network that gives none.
    """
    planned: dict[PlannedStitch, None] = {}
    left_out: dict[Pair, str] = {}
    mistakes: list[ConfigError] = []
    for number, (declared, named) in enumerate(zip(spelt, map(NamedLayers.of, sweep.stitch), strict=True)):
        try:
            stitches, unfit = _of_table(sweep, table, declared, named, f"stitch[{number}]")
            for stitch in stitches:
                demand_logits(stitch, headless, f"stitch[{number}].objectives")
            planned |= dict.fromkeys(stitches)
            left_out |= unfit
        except ConfigError as error:
            mistakes.append(error)
    if len(mistakes) > 1:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected="stitches that can be made",
            found=f"{len(mistakes)} tables of others",
            remedy="Correct each:" + "".join(f"\n- {mistake}" for mistake in mistakes),
        )
    if mistakes:
        raise mistakes[0]
    return PlannedStitches(tuple(planned), left_out)


def _of_table(
    sweep: Sweep, table: LayerTable, declared: Stitch, named: NamedLayers, where: str
) -> tuple[list[PlannedStitch], dict[Pair, str]]:
    """Return the stitches of one table, and what is left out; of a sweep without some of its models it may be none."""
    layers = StitchedLayers(table, sweep.left_out)
    sources = layers.matching(declared.sources, f"{where}.sources")
    targets = layers.matching(declared.targets, f"{where}.targets")
    _demand_count(declared, sources, targets, where)
    pairs = [(s, t) for t in targets for s in sources if _paired(declared, s, t)]
    if not pairs and not layers.is_narrowed(declared):
        raise ConfigError(
            where=where,
            expected=f"at least one pair of layers with pairs = '{declared.pairs}'",
            found=f"none among {len(sources)} sources and {len(targets)} targets",
            remedy="Widen the globs, or set pairs = 'all'.",
        )
    planned: list[PlannedStitch] = []
    unfit: dict[Pair, ConfigError] = {}
    for source, target in pairs:
        demand_network(sweep, target, where)
        refusal = misfit(source, target, table, where)
        if refusal is not None:
            if named.asks_for(source, target, is_cut=info_of(table, target).is_cut):
                raise refusal
            unfit[source, target] = refusal
            continue
        if isinstance(declared, TrainedStitch) and declared.augmented:
            demand_images(sweep, source, where)
        for stitch in _expanded(declared, source, target):
            demand_equal_widths(stitch, table, where)
            planned.append(stitch)
    if unfit and not planned:
        raise next(iter(unfit.values()))
    return planned, {pair: error.expected for pair, error in unfit.items()}


def _demand_count(
    declared: Stitch, sources: Sequence[LayerName], targets: Sequence[LayerName], where: str
) -> None:
    """Refuse more stitches than anybody could train, before any of them is made."""
    ways = 0 if not sources or not targets else len(_expanded(declared, sources[0], targets[0]))
    if ways * len(sources) * len(targets) <= MOST_STITCHES:
        return
    count = ways * sum(_paired(declared, source, target) for target in targets for source in sources)
    if count > MOST_STITCHES:
        raise ConfigError(
            where=where,
            expected=f"at most {MOST_STITCHES:,} stitches in a table",
            found=f"{count:,}: {len(sources):,} sources, {len(targets):,} targets, {ways:,} ways of each",
            remedy="Narrow the globs, or take fewer seeds, objectives or initial maps.",
        )


def training_splits(data: RunData, planned: PlannedStitch) -> tuple[str, ...]:
    """Return the splits that a training goes through, epoch by epoch."""
    if planned.budget is None or not planned.budget.augmented:
        return (TRAIN,)
    return data.augmented_splits()


def ends_of(stitches: Sequence[PlannedStitch]) -> list[LayerName]:
    """Return the layers that stitches begin or end at, each once, sorted."""
    return sorted({name for stitch in stitches for name in (stitch.source, stitch.target)})


def _paired(declared: Stitch, source: LayerName, target: LayerName) -> bool:
    match declared.pairs:
        case "self":
            return source == target
        case "within":
            return source.model == target.model
        case "between":
            return source.model != target.model
        case "corresponding":
            return source.layer == target.layer and source.model != target.model
        case _:
            return True


def _expanded(declared: Stitch, source: LayerName, target: LayerName) -> list[PlannedStitch]:
    if isinstance(declared, DirectStitch):
        return [PlannedStitch(source, target, family) for family in declared.maps]
    budgets = [
        TrainingBudget(
            steps=declared.steps,
            batch_size=declared.batch_size,
            learning_rate=declared.learning_rate,
            weight_decay=declared.weight_decay,
            seed=seed,
            objective=objective,
            autocast=declared.autocast,
            compiled=declared.compiled,
            augmented=declared.augmented,
        )
        for objective in declared.objectives
        for seed in declared.seeds
    ]
    return [
        PlannedStitch(source, target, AFFINE if init == "dm" else None, init, budget)
        for init in declared.init
        for budget in budgets
    ]
