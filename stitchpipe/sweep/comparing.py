"""The third step: all pairs of layers of all models under all views, and the maps that the stitches need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.config import ConfigError, Sweep
from stitchpipe.results import COMPARED
from stitchpipe.sweep.direct import Networks
from stitchpipe.sweep.ends import STITCH_VIEW, Ends, index_key, map_key, open_ends, pair_keys
from stitchpipe.sweep.engine_run import EngineRun, carry_out
from stitchpipe.sweep.engine_tasks import Wanted
from stitchpipe.sweep.folder import key_of
from stitchpipe.sweep.jobs import all_layers, jobs
from stitchpipe.sweep.networks import layer_table
from stitchpipe.sweep.predictions import AGREEMENT, compare_predictions
from stitchpipe.sweep.progress import Report, silent
from stitchpipe.sweep.unkept import contents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Compare
    from stitchpipe.engine.cluster import Cluster
    from stitchpipe.results import Result
    from stitchpipe.sweep.engine_tasks import Pair
    from stitchpipe.sweep.folder import Folder


def compare(
    sweep: Sweep,
    folder: Folder,
    view: str | None = None,
    *,
    cluster: Cluster | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Compute the declared indices of all pairs; what is in the catalogue is not computed again.

    Parameters
    ----------
    view
        One of the declared views; default: all of them, from one reading of the layers. Where activations are not
        kept it is always all, from one run of the networks.
    cluster
        Where the work is done; default: local processes for this call alone, if there is anything to do.

    Returns
    -------
    dict
        Counts of pairs, how many were computed, and numbers written.

    Raises
    ------
    ConfigError, storage.StoreError, engine.PlanError, engine.ExecutionError
        Nothing is dumped yet, a shard is damaged, the work does not fit, or the cluster is lost.
    """
    # Networks that run give all views at once.
    tables = [one for one in _tables(sweep, view) if sweep.dump.keep] or _tables(sweep, None)
    networks = None if sweep.dump.keep else Networks.open(sweep, folder)
    ends = contents(sweep, folder, all_layers(layer_table(sweep, folder)))
    keys = {table.view: pair_keys(sweep, ends, table) for table in tables}
    held = folder.catalogue.held()
    missing = {
        table.view: {
            pair: tuple(
                i for i in table.indices if i != AGREEMENT and i not in held.get(index_key(key, i), ())
            )
            for pair, key in keys[table.view].items()
        }
        for table in tables
    }
    wanted = Wanted(
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
    written = sum(_commit(folder, compare_predictions(sweep, folder, table, held)) for table in tables)
    for results in carry_out(EngineRun(sweep, folder, ends, wanted, networks), cluster, report):
        written += _commit(folder, results)
    return {
        "views": [table.view for table in tables],
        "pairs": sum(map(len, keys.values())),
        "computed": sum(map(len, wanted.pairs.values())),
        "numbers": written,
    }


def _commit(folder: Folder, results: Sequence[Result]) -> int:
    """Write a part of the results under a digest of what it holds; return how many there are."""
    if results:
        part = key_of([(result.key, result.index) for result in results])
        folder.catalogue.write(COMPARED + part, results)
    return len(results)


def fit_maps(
    sweep: Sweep, folder: Folder, *, cluster: Cluster | None = None, report: Report = silent
) -> dict[str, Any]:
    """Fit the least-squares maps that the stitches need and that are not there yet; return their count.

    `cluster` is that of `compare`.
    """
    if not sweep.stitch:
        report(1, 1)
        return {"maps": 0}
    ends = open_ends(sweep, folder, all_layers(layer_table(sweep, folder)))
    maps = _missing_maps(sweep, folder, ends)
    for _ in carry_out(EngineRun(sweep, folder, ends, Wanted(maps=maps)), cluster, report):
        pass
    return {"maps": sum(map(len, maps.values()))}


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


def _missing_maps(sweep: Sweep, folder: Folder, ends: Ends) -> dict[Pair, dict[str, str]]:
    """Return where the maps that the stitches need are to be written, by pair and family, for those not there yet."""
    needed: dict[Pair, dict[str, str]] = {}
    for job in jobs(sweep, layer_table(sweep, folder)):
        if job.map is not None:
            path = folder.map(map_key(sweep, ends[job.source], ends[job.target], job.map))
            if not path.exists():
                needed.setdefault((job.source, job.target), {})[job.map] = str(path)
    return needed
