"""From moments to numbers: every index of every source into one target, and the maps that were asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from stitchpipe.algebra.analysis import Analysis
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.naming import index_named
from stitchpipe.catalogue import Result
from stitchpipe.engine.accumulate import PassState, pair
from stitchpipe.mapfile import write_map
from stitchpipe.rows import grid_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.algebra.summaries import PairMoments
    from stitchpipe.engine.plan import Plan

STORAGE_EPS = {4: 2.0**-23, 2: 2.0**-10, 8: 2.0**-52}
"""Relative spacing of stored numbers by item size: directions below it are rounding, not representation."""


@dataclass(frozen=True, slots=True)
class Target:
    """One target layer of a plan and what is wanted of it.

    Attributes
    ----------
    step, tile, layer
        Places in the plan.
    indices
        Which indices, of every source of the tile.
    maps
        Where the fitted map from a source is to be written, by source.
    digests
        Content digests of the layers on the scored split, by layer, for the results.
    """

    step: int
    tile: int
    layer: int
    indices: tuple[str, ...]
    maps: Mapping[int, str]
    digests: Mapping[int, str]


def finalise(
    plan: Plan, target: Target, fitted_on: PassState | None, scored_on: PassState
) -> list[dict[str, Any]]:
    """Return the results of all sources into one target layer as plain records, and write the maps asked for.

    Maps are fitted on the first split of the plan and scored on the last; every other index is computed
    in-sample on the last. An index without a value is a record with its status and reason.

    Notes
    -----
    O(sources · (p³ + q³)) time; one pair's moments at a time.
    """
    tile = plan.passes[target.step].tiles[target.tile]
    records: list[dict[str, Any]] = []
    with threadpool_limits(limits=1):
        for source in tile.sources:
            train = (
                None if fitted_on is None else pair(plan, tile, fitted_on, target.tile, source, target.layer)
            )
            test = pair(plan, tile, scored_on, target.tile, source, target.layer)
            records += [asdict(result) for result in _pair_results(plan, target, source, train, test)]
    return records


def _pair_results(
    plan: Plan, target: Target, source: int, train: PairMoments | None, test: PairMoments
) -> list[Result]:
    eps = STORAGE_EPS[plan.layers[source].itemsize], STORAGE_EPS[plan.layers[target.layer].itemsize]
    analysis = Analysis(test, train, eps)
    if source in target.maps and train is not None:
        write_map(Path(target.maps[source]), analysis.fitted())
    return [_result(plan, target, source, name, analysis) for name in target.indices]


def _result(plan: Plan, target: Target, source: int, name: str, analysis: Analysis) -> Result:
    value: float | None = None
    status, reason, rank, condition = "ok", None, None, None
    try:
        found = analysis.value(name)
        value, rank, condition = found.value, found.rank, found.condition
    except UndefinedIndexError as error:
        status, reason = error.status, error.reason
    tile = plan.passes[target.step].tiles[target.tile]
    x, y, split = plan.layers[source], plan.layers[target.layer], plan.splits[-1]
    return Result(
        index=name,
        value=value,
        status=status,
        reason=reason,
        view=plan.view,
        grid=grid_label(tile.grid),
        source_model=x.model,
        source_layer=x.layer,
        target_model=y.model,
        target_layer=y.layer,
        fit_split=plan.splits[0].name if index_named(name).held_out else None,
        split=split.name,
        n_samples=split.n_samples,
        n_rows=analysis.pair.n,
        p=len(analysis.pair.mean_x),
        q=len(analysis.pair.mean_y),
        rank=rank,
        condition=condition,
        source_digest=target.digests[source],
        target_digest=target.digests[target.layer],
    )
