"""The fourth step: all pairs of layers of all models under all views, and the maps that the stitches need."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.config import ConfigError
from stitchpipe.results import COMPARED, MANY_PARTS, MapToKeep, numbers_of
from stitchpipe.run.file_names import map_name
from stitchpipe.run.keys import part_key
from stitchpipe.run.run_keys import STITCH_VIEW, index_keys, map_key, pair_keys
from stitchpipe.steps.comparing.engine_run import EngineRun, carry_out, cluster_of
from stitchpipe.steps.comparing.live_networks import LiveNetworks
from stitchpipe.steps.comparing.predictions import AGREEMENT, compare_predictions
from stitchpipe.steps.comparing.single_layers import measure_layers
from stitchpipe.steps.comparing.wanted import Wanted
from stitchpipe.steps.progress import Report, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from stitchpipe.config import Compare, Sweep
    from stitchpipe.engine.cluster import Cluster
    from stitchpipe.results import Held
    from stitchpipe.run import Pair, Run
    from stitchpipe.run.activations import Ends


def compare(
    run: Run,
    view: str | None = None,
    *,
    cluster: Cluster | None = None,
    report: Report = silent,
) -> dict[str, Any]:
    """Compute the declared indices of all pairs, and measures of single layers; what is there is not computed again.

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
        Counts of pairs, how many were computed, numbers written of pairs (``numbers``) and of single layers
        (``layer_numbers``), layers held against their components by an index (``deletions``), and of those that were
        held against both a permuted null and its closed form (``nulls``) how many lie far apart in these
        (``nulls_apart``).

    Raises
    ------
    ConfigError, storage.StoreError, engine.PlanError, engine.ExecutionError
        Nothing is dumped yet, a shard is damaged, the work does not fit, or the cluster is lost.
    """
    tables = _tables(run.sweep, view)
    if run.activations.all_views_at_once:
        tables = list(run.sweep.compare)
    networks = LiveNetworks.open(run)
    ends = run.activations.ends(run.layers.names())
    held = run.results.held()
    wanted = _wanted(run, tables, ends, held)
    written = sum(_commit(run, compare_predictions(run, table, held)) for table in tables)
    work = EngineRun(run, ends, wanted, networks)
    # One cluster for pairs and for single layers; it starts nothing before there is something to do.
    with nullcontext(cluster) if cluster is not None else cluster_of(run) as chosen:
        for results in carry_out(work, chosen, report):
            written += _commit(run, results)
        if written:
            run.results.compact(least_parts=MANY_PARTS)
        of_layers = measure_layers(run, tables, chosen, report)
    return {
        "views": [table.view for table in tables],
        "pairs": len(ends) ** 2 * len(tables),
        "computed": sum(int(of_view.sum()) for of_view in wanted.pairs.values()),
        "numbers": written,
        "nulls": work.nulls,
        "nulls_apart": work.nulls_apart,
        "layer_numbers": of_layers.numbers,
        "deletions": of_layers.deletions,
    }


def fit_maps(run: Run, *, cluster: Cluster | None = None, report: Report = silent) -> dict[str, Any]:
    """Fit the least-squares maps that the stitches need and that are not there yet; return their count.

    `cluster` is that of `compare`.
    """
    if not run.sweep.stitch:
        report(1, 1)
        return {"maps": 0}
    ends = run.activations.ends(run.layers.names())
    maps = _missing_maps(run, ends)
    for _ in carry_out(EngineRun(run, ends, Wanted(maps=maps)), cluster, report):
        pass
    return {"maps": sum(map(len, maps.values()))}


def _wanted(run: Run, tables: Sequence[Compare], ends: Ends, held: Held) -> Wanted:
    """Return what the engine is to give: indices that a pair lacks, and maps where their view is compared anyway."""
    keys, pairs, indices = {}, {}, {}
    for table in tables:
        # Agreement is of models and not of layers; it is worked from the logits, without the engine.
        declared = [index for index in table.indices if index != AGREEMENT]
        of_indices = index_keys(pair_keys(run, ends, table), declared)
        missing = {index: ~held.has(index, of_indices[index]) for index in declared}
        keys[table.view] = of_indices
        pairs[table.view] = np.any([*missing.values(), np.zeros((len(ends), len(ends)), np.bool_)], axis=0)
        indices[table.view] = tuple(index for index in declared if missing[index].any())
    return Wanted(
        pairs=pairs,
        indices=indices,
        # Maps rest on the same sums as the indices of their view, so they are fitted on the way.
        maps=_missing_maps(run, ends) if STITCH_VIEW in pairs else {},
        keys=keys,
    )


def _commit(run: Run, results: pa.Table) -> int:
    """Write a part of the results under a digest of what it holds; return how many there are."""
    if len(results):
        # The name follows from the numbers in the part, so that a part which is written again has the same
        # name.
        run.results.write(COMPARED + part_key(*numbers_of(results)), results)
    return len(results)


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


def _missing_maps(run: Run, ends: Ends) -> dict[Pair, dict[str, MapToKeep]]:
    """Return where the maps that the stitches need are to be kept, by pair and family, for those not there yet."""
    files = run.place.files
    needed: dict[Pair, dict[str, MapToKeep]] = {}
    # One listing answers for all maps, which in a bucket saves a request for each.
    there = {file.name for file in files.listing("maps")}
    for planned in run.stitches:
        if planned.map is not None:
            key = map_key(run, ends[planned.source], ends[planned.target], planned.map)
            if map_name(key) not in there:
                made = {
                    "source": str(planned.source),
                    "target": str(planned.target),
                    "method": "dm",
                    "family": planned.map,
                    "key": key,
                }
                of_pair = needed.setdefault((planned.source, planned.target), {})
                of_pair[planned.map] = MapToKeep(files, map_name(key), made)
    return needed
