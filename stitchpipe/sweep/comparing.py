"""The third step: all pairs of layers of all models under one view, and the maps that the stitches need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra.naming import index_named
from stitchpipe.catalogue import Result
from stitchpipe.config import ConfigError, Sweep
from stitchpipe.engine.execute import cluster, execute
from stitchpipe.engine.finalise import Target
from stitchpipe.engine.plan import LayerShape, Plan, SplitShape, make_plan
from stitchpipe.sweep.ends import STITCH_VIEW, Ends, comparison_keys, map_key, open_ends
from stitchpipe.sweep.folder import opened_store
from stitchpipe.sweep.jobs import LayerName, all_layers, jobs
from stitchpipe.sweep.networks import layer_table
from stitchpipe.sweep.progress import Report, silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stitchpipe.rows import View
    from stitchpipe.sweep.folder import Folder


def compare(
    sweep: Sweep, folder: Folder, view: str, *, scheduler: str | None = None, report: Report = silent
) -> dict[str, Any]:
    """Compute the declared indices of all pairs under `view`; what is in the catalogue is not computed again.

    Returns
    -------
    dict
        Counts of target layers, how many were new, and numbers written.

    Raises
    ------
    ConfigError, storage.StoreError, engine.PlanError, engine.ExecutionError
        Nothing is dumped yet, a shard is damaged, the work does not fit, or the cluster is lost.
    """
    table = next((table for table in sweep.compare if table.view == view), None)
    if table is None:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected=f"a declared view ({', '.join(table.view for table in sweep.compare) or 'none'})",
            found=f"'{view}'",
            remedy="Add a [[compare]] table for it.",
        )
    ends = open_ends(sweep, folder, all_layers(layer_table(sweep, folder)))
    keys = comparison_keys(ends, table)
    missing = [target for target, key in keys.items() if not folder.catalogue.has(key)]
    wanted = _Wanted(
        view=table.view,
        indices=tuple(table.indices),
        pairs={target: tuple(ends) for target in missing},
        maps=_missing_maps(sweep, folder, ends) if view == STITCH_VIEW else {},
    )
    written = 0
    for target, records in _carry_out(sweep, folder, ends, wanted, scheduler, report):
        folder.catalogue.write(keys[target], [Result(**record) for record in records])
        written += len(records)
    return {"view": view, "targets": len(keys), "computed": len(missing), "numbers": written}


def fit_maps(
    sweep: Sweep, folder: Folder, *, scheduler: str | None = None, report: Report = silent
) -> dict[str, Any]:
    """Fit the least-squares maps that the stitches need and that are not there yet; return their count."""
    ends = open_ends(sweep, folder, all_layers(layer_table(sweep, folder)))
    maps = _missing_maps(sweep, folder, ends)
    pairs: dict[LayerName, tuple[LayerName, ...]] = {}
    for source, target in maps:
        pairs[target] = (*pairs.get(target, ()), source)
    wanted = _Wanted(view=STITCH_VIEW, indices=(), pairs=pairs, maps=maps)
    for _ in _carry_out(sweep, folder, ends, wanted, scheduler, report):
        pass
    return {"maps": len(maps)}


@dataclass(frozen=True)
class _Wanted:
    """What one run of the engine is to give: for each target its sources, the indices, and maps to keep."""

    view: View
    indices: tuple[str, ...]
    pairs: Mapping[LayerName, Sequence[LayerName]]
    maps: Mapping[tuple[LayerName, LayerName], str]


def _missing_maps(sweep: Sweep, folder: Folder, ends: Ends) -> dict[tuple[LayerName, LayerName], str]:
    """Return where the maps that the stitches need are to be written, by pair, for those not there yet."""
    needed: dict[tuple[LayerName, LayerName], str] = {}
    for job in jobs(sweep, layer_table(sweep, folder)):
        if job.needs_direct_map:
            path = folder.map(map_key(ends[job.source], ends[job.target]))
            if not path.exists():
                needed[job.source, job.target] = str(path)
    return needed


def _carry_out(
    sweep: Sweep, folder: Folder, ends: Ends, wanted: _Wanted, scheduler: str | None, report: Report
) -> Iterator[tuple[LayerName, list[dict[str, Any]]]]:
    """Plan what is wanted and execute it on Dask; nothing wanted starts no cluster."""
    if not wanted.pairs:
        report(1, 1)
        return
    plan = _plan(sweep, ends, wanted)
    targets = _targets(plan, ends, wanted)
    names = list(ends)
    with cluster(
        scheduler, workers=sweep.run.workers, memory_limit_bytes=sweep.run.memory_limit_bytes
    ) as client:
        for target, records in execute(client, opened_store(sweep, folder), plan, targets, report=report):
            yield names[target.layer], records


def _plan(sweep: Sweep, ends: Ends, wanted: _Wanted) -> Plan:
    """Return the engine's plan; the training split is read only where a map is fitted."""
    fits = bool(wanted.maps) or any(index_named(index).held_out for index in wanted.indices)
    sides = [(end.train, end.test) if fits else (end.test,) for end in ends.values()]
    layers = [
        LayerShape(
            end.name.model,
            end.name.layer,
            tuple(one.fingerprint for one in side),
            end.test.shape[1:],
            end.test.dtype.itemsize,
        )
        for end, side in zip(ends.values(), sides, strict=True)
    ]
    place = {name: number for number, name in enumerate(ends)}
    return make_plan(
        layers,
        {place[target]: [place[source] for source in sources] for target, sources in wanted.pairs.items()},
        view=wanted.view,
        splits=[SplitShape(one.address.dataset, one.address.split, one.row_groups) for one in sides[0]],
        memory_limit_bytes=sweep.run.memory_limit_bytes,
    )


def _targets(plan: Plan, ends: Ends, wanted: _Wanted) -> list[Target]:
    names = list(ends)
    digests = {number: end.test.digest for number, end in enumerate(ends.values())}
    found = []
    for step, work in enumerate(plan.passes):
        for position, tile in enumerate(work.tiles):
            for layer in tile.targets:
                maps = {
                    source: path
                    for source in tile.sources
                    if (path := wanted.maps.get((names[source], names[layer])))
                }
                found.append(Target(step, position, layer, wanted.indices, maps, digests))
    return found
