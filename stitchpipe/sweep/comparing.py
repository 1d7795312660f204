"""The third step: all pairs of layers of all models under all views, and the maps that the stitches need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra.naming import index_named
from stitchpipe.catalogue import COMPARED
from stitchpipe.config import ConfigError, Sweep
from stitchpipe.engine.execute import Job, cluster, execute
from stitchpipe.engine.finalise import Request
from stitchpipe.engine.plan import Plan, make_plan
from stitchpipe.engine.shapes import LayerShape, SplitShape
from stitchpipe.engine.work import Workplace
from stitchpipe.result import Result
from stitchpipe.sweep.ends import STITCH_VIEW, Ends, map_key, open_ends, pair_keys
from stitchpipe.sweep.folder import key_of, opened_store, writable_summaries
from stitchpipe.sweep.jobs import LayerName, all_layers, jobs
from stitchpipe.sweep.networks import layer_table
from stitchpipe.sweep.progress import Report, silent
from stitchpipe.sweep.unfinished import Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stitchpipe.config import Compare
    from stitchpipe.engine.plan import Chunk
    from stitchpipe.rows import View
    from stitchpipe.sweep.folder import Folder

Pair = tuple[LayerName, LayerName]


def compare(
    sweep: Sweep,
    folder: Folder,
    view: str | None = None,
    *,
    scheduler: str | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Compute the declared indices of all pairs; what is in the catalogue is not computed again.

    Parameters
    ----------
    view
        One of the declared views; default: all of them, from one reading of the layers.

    Returns
    -------
    dict
        Counts of pairs, how many were computed, and numbers written.

    Raises
    ------
    ConfigError, storage.StoreError, engine.PlanError, engine.ExecutionError
        Nothing is dumped yet, a shard is damaged, the work does not fit, or the cluster is lost.
    """
    tables = _tables(sweep, view)
    ends = open_ends(sweep, folder, all_layers(layer_table(sweep, folder)))
    keys = {table.view: pair_keys(sweep, ends, table) for table in tables}
    held = folder.catalogue.held()
    missing = {
        table.view: {
            pair: tuple(index for index in table.indices if index not in held.get(key, ()))
            for pair, key in keys[table.view].items()
        }
        for table in tables
    }
    wanted = _Wanted(
        pairs={of: frozenset(pair for pair, left in pairs.items() if left) for of, pairs in missing.items()},
        indices={
            table.view: tuple(
                index
                for index in table.indices
                if any(index in left for left in missing[table.view].values())
            )
            for table in tables
        },
        maps=_missing_maps(sweep, folder, ends) if STITCH_VIEW in keys else {},
        keys=keys,
    )
    written = 0
    for results in _carry_out(sweep, folder, ends, wanted, scheduler, report):
        part = key_of([(result.key, result.index) for result in results])
        folder.catalogue.write(COMPARED + part, results)
        written += len(results)
    return {
        "views": [table.view for table in tables],
        "pairs": sum(map(len, keys.values())),
        "computed": sum(map(len, wanted.pairs.values())),
        "numbers": written,
    }


def fit_maps(
    sweep: Sweep, folder: Folder, *, scheduler: str | None = None, report: Report = silent
) -> dict[str, Any]:
    """Fit the least-squares maps that the stitches need and that are not there yet; return their count."""
    ends = open_ends(sweep, folder, all_layers(layer_table(sweep, folder)))
    maps = _missing_maps(sweep, folder, ends)
    for _ in _carry_out(sweep, folder, ends, _Wanted(maps=maps), scheduler, report):
        pass
    return {"maps": len(maps)}


@dataclass(frozen=True)
class _Wanted:
    """What one run of the engine is to give.

    Attributes
    ----------
    pairs, indices
        By view.
    maps
        Where maps are to be written, by pair.
    keys
        Of the numbers of every pair, by view.
    """

    pairs: Mapping[View, frozenset[Pair]] = field(default_factory=dict)
    indices: Mapping[View, tuple[str, ...]] = field(default_factory=dict)
    maps: Mapping[Pair, str] = field(default_factory=dict)
    keys: Mapping[View, Mapping[Pair, str]] = field(default_factory=dict)

    def all_pairs(self) -> dict[View, frozenset[Pair]]:
        """Return the pairs to form, those of maps too; views without any are left out."""
        found = dict(self.pairs)
        if self.maps:
            found[STITCH_VIEW] = found.get(STITCH_VIEW, frozenset()) | frozenset(self.maps)
        return {view: pairs for view, pairs in found.items() if pairs}


def _tables(sweep: Sweep, view: str | None) -> list[Compare]:
    tables = [table for table in sweep.compare if view in (None, table.view)]
    if view is not None and not tables:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected=f"a declared view ({', '.join(table.view for table in sweep.compare) or 'none'})",
            found=f"'{view}'",
            remedy="Add a [[compare]] table for it.",
        )
    return tables


def _missing_maps(sweep: Sweep, folder: Folder, ends: Ends) -> dict[Pair, str]:
    """Return where the maps that the stitches need are to be written, by pair, for those not there yet."""
    needed: dict[Pair, str] = {}
    for job in jobs(sweep, layer_table(sweep, folder)):
        if job.needs_direct_map:
            path = folder.map(map_key(ends[job.source], ends[job.target]))
            if not path.exists():
                needed[job.source, job.target] = str(path)
    return needed


def _carry_out(
    sweep: Sweep, folder: Folder, ends: Ends, wanted: _Wanted, scheduler: str | None, report: Report
) -> Iterator[list[Result]]:
    """Plan what is wanted and execute it on Dask; nothing wanted starts no cluster."""
    pairs = wanted.all_pairs()
    if not pairs:
        report(1, 1)
        return
    names = list(ends)
    unfinished = Unfinished(folder, pairs)
    plan = _plan(sweep, ends, wanted, unfinished.planned)
    place = {name: number for number, name in enumerate(names)}
    request = Request(
        indices={view: wanted.indices.get(view, ()) for view in unfinished.planned},
        maps={(place[source], place[target]): path for (source, target), path in wanted.maps.items()},
        digests=tuple(end.test.digest for end in ends.values()),
        intervals=sweep.run.intervals,
    )
    job = Job(Workplace(opened_store(sweep, folder), writable_summaries(sweep, folder)), plan, request)
    still = {(view, place[s], place[t]) for view, of_view in pairs.items() for s, t in of_view}

    def left(view: View, chunk: Chunk) -> bool:
        return any((view, *pair) in still for pair in chunk.pairs)

    run = sweep.run
    with cluster(scheduler, workers=run.workers, memory_limit_bytes=run.memory_limit_bytes) as client:
        for records in execute(client, job, report=report, wanted=left):
            yield [_keyed(wanted, record) for record in records]
    unfinished.finish()


def _keyed(wanted: _Wanted, record: dict[str, Any]) -> Result:
    pair = (
        LayerName(record["source_model"], record["source_layer"]),
        LayerName(record["target_model"], record["target_layer"]),
    )
    return Result(**{**record, "key": wanted.keys[record["view"]][pair]})


def _plan(sweep: Sweep, ends: Ends, wanted: _Wanted, pairs: Mapping[View, frozenset[Pair]]) -> Plan:
    """Return the engine's plan; the training split is read only where a map is fitted."""
    held_out = any(index_named(index).held_out for indices in wanted.indices.values() for index in indices)
    fits = bool(wanted.maps) or held_out
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
        {view: frozenset((place[s], place[t]) for s, t in of_view) for view, of_view in pairs.items()},
        splits=[SplitShape(one.address.dataset, one.address.split, one.row_groups) for one in sides[0]],
        memory_limit_bytes=sweep.run.memory_limit_bytes,
        precision=sweep.run.products,
        intervals=sweep.run.intervals,
    )
