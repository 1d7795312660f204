"""The third step: all pairs of layers of all models under one view, and the maps that the stitches need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra.indices import INDICES
from stitchpipe.catalogue import Result
from stitchpipe.engine.execute import cluster, execute
from stitchpipe.engine.finalise import Target
from stitchpipe.engine.plan import LayerShape, Plan, SplitShape, make_plan
from stitchpipe.sweep.dump import fingerprint
from stitchpipe.sweep.folder import Folder, key_of
from stitchpipe.sweep.jobs import Job, LayerName, LayerTable, jobs
from stitchpipe.sweep.networks import TEST, TRAIN, layer_table
from stitchpipe.sweep.progress import Report, silent
from storage import Address, Representation, Store, check_pairing, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stitchpipe.config import Compare, Sweep
    from stitchpipe.rows import View

ALGEBRA_VERSION = 1
"""Raised when the same representations would give other numbers or maps."""
STITCH_VIEW: View = "positions"
"""A 1×1 convolution acts on every position: its least-squares map is fitted on positions."""


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
    table = next(table for table in sweep.compare if table.view == view)
    held = _Layers.open(sweep, folder, layer_table(sweep))
    keys = held.result_keys(table)
    missing = [target for target, key in keys.items() if not folder.catalogue.has(key)]
    wanted = _Wanted(
        view=table.view,
        indices=tuple(table.indices),
        pairs={target: tuple(held.names) for target in missing},
        maps=_missing_maps(sweep, folder, held) if view == STITCH_VIEW else {},
    )
    written = 0
    for target, records in _carry_out(sweep, folder, held, wanted, scheduler, report):
        folder.catalogue.write(keys[target], [Result(**record) for record in records])
        written += len(records)
    return {"view": view, "targets": len(keys), "computed": len(missing), "numbers": written}


def fit_maps(
    sweep: Sweep, folder: Folder, *, scheduler: str | None = None, report: Report = silent
) -> dict[str, Any]:
    """Fit the least-squares maps that the stitches need and that are not there yet; return their count."""
    held = _Layers.open(sweep, folder, layer_table(sweep))
    maps = _missing_maps(sweep, folder, held)
    pairs: dict[LayerName, tuple[LayerName, ...]] = {}
    for source, target in maps:
        pairs[target] = (*pairs.get(target, ()), source)
    wanted = _Wanted(view=STITCH_VIEW, indices=(), pairs=pairs, maps=maps)
    for _ in _carry_out(sweep, folder, held, wanted, scheduler, report):
        pass
    return {"maps": len(maps)}


def map_key(source: Representation, target: Representation) -> str:
    """Return the key of the least-squares map between two representations of the training split."""
    return "dm-" + key_of(source.digest, target.digest, source.sample_digest, STITCH_VIEW, ALGEBRA_VERSION)


@dataclass(frozen=True)
class _Layers:
    """The representations of a sweep's layers on both splits."""

    names: tuple[LayerName, ...]
    train: Mapping[LayerName, Representation]
    test: Mapping[LayerName, Representation]

    @classmethod
    def open(cls, sweep: Sweep, folder: Folder, table: LayerTable) -> _Layers:
        store = open_store(folder.store)
        names = tuple(LayerName(model, info.name) for model, infos in table.items() for info in infos)
        held = {split: _representations(sweep, folder, store, split, names) for split in (TRAIN, TEST)}
        return cls(names, held[TRAIN], held[TEST])

    def result_keys(self, table: Compare) -> dict[LayerName, str]:
        """Return each target layer's key in the catalogue: everything that its numbers depend on."""
        sources = [(str(name), self.train[name].digest, self.test[name].digest) for name in self.names]
        samples = (self.train[self.names[0]].sample_digest, self.test[self.names[0]].sample_digest)
        return {
            name: "compare-"
            + key_of(str(name), sources, samples, table.view, sorted(table.indices), ALGEBRA_VERSION)
            for name in self.names
        }

    def shapes(self, sides: Sequence[Mapping[LayerName, Representation]]) -> list[LayerShape]:
        """Return the plan's view of the layers, in order, with their fingerprints on `sides`."""
        return [
            LayerShape(
                name.model,
                name.layer,
                tuple(side[name].fingerprint for side in sides),
                self.test[name].shape[1:],
                self.test[name].dtype.itemsize,
            )
            for name in self.names
        ]


@dataclass(frozen=True)
class _Wanted:
    """What one run of the engine is to give: for each target its sources, the indices, and maps to keep."""

    view: View
    indices: tuple[str, ...]
    pairs: Mapping[LayerName, Sequence[LayerName]]
    maps: Mapping[tuple[LayerName, LayerName], str]


def _representations(
    sweep: Sweep, folder: Folder, store: Store, split: str, names: Sequence[LayerName]
) -> dict[LayerName, Representation]:
    dataset = sweep.data.label
    prints = {model: fingerprint(sweep, folder, model, split) for model in sweep.labels}
    found = {
        name: store.representation(
            Address(dataset, split, name.model, name.layer), fingerprint=prints[name.model]
        )
        for name in names
    }
    first = found[names[0]]
    for other in found.values():
        check_pairing(first, other)
    return found


def _missing_maps(sweep: Sweep, folder: Folder, held: _Layers) -> dict[tuple[LayerName, LayerName], str]:
    """Return where the maps that the stitches need are to be written, by pair, for those not there yet."""
    needed: dict[tuple[LayerName, LayerName], str] = {}
    for job in _direct(jobs(sweep, layer_table(sweep))):
        path = folder.map(map_key(held.train[job.source], held.train[job.target]))
        if not path.exists():
            needed[job.source, job.target] = str(path)
    return needed


def _direct(declared: Sequence[Job]) -> list[Job]:
    return [job for job in declared if job.needs_direct_map]


def _carry_out(
    sweep: Sweep, folder: Folder, held: _Layers, wanted: _Wanted, scheduler: str | None, report: Report
) -> Iterator[tuple[LayerName, list[dict[str, Any]]]]:
    """Plan what is wanted and execute it on Dask; nothing wanted starts no cluster."""
    if not wanted.pairs:
        report(1, 1)
        return
    plan = plan_of(sweep, held, wanted)
    targets = _targets(plan, held, wanted)
    with cluster(
        scheduler, workers=sweep.run.workers, memory_limit_bytes=sweep.run.memory_limit_bytes
    ) as client:
        for target, records in execute(client, str(folder.store), plan, targets, report=report):
            yield held.names[target.layer], records


def plan_of(sweep: Sweep, held: _Layers, wanted: _Wanted) -> Plan:
    """Return the engine's plan; the training split is read only where a map is fitted."""
    place = {name: number for number, name in enumerate(held.names)}
    fits = bool(wanted.maps) or any(INDICES[index].held_out for index in wanted.indices)
    sides = (held.train, held.test) if fits else (held.test,)
    firsts = [side[held.names[0]] for side in sides]
    splits = [SplitShape(one.address.dataset, one.address.split, one.row_groups) for one in firsts]
    return make_plan(
        held.shapes(sides),
        {place[target]: [place[source] for source in sources] for target, sources in wanted.pairs.items()},
        view=wanted.view,
        splits=splits,
        memory_limit_bytes=sweep.run.memory_limit_bytes,
    )


def _targets(plan: Plan, held: _Layers, wanted: _Wanted) -> list[Target]:
    digests = {number: held.test[name].digest for number, name in enumerate(held.names)}
    found = []
    for step, work in enumerate(plan.passes):
        for position, tile in enumerate(work.tiles):
            for layer in tile.targets:
                maps = {
                    source: path
                    for source in tile.sources
                    if (path := wanted.maps.get((held.names[source], held.names[layer])))
                }
                found.append(Target(step, position, layer, wanted.indices, maps, digests))
    return found
