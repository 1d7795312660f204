"""The third step: all pairs of layers of all models under all views, and the maps that the stitches need."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stitchpipe.algebra.grams import MOST_IMAGES
from stitchpipe.algebra.naming import index_named
from stitchpipe.catalogue import COMPARED
from stitchpipe.config import ConfigError, Sweep
from stitchpipe.engine.execute import Job, cluster, execute, execute_images
from stitchpipe.engine.finalise import Request, without_grid
from stitchpipe.engine.gpus import deal_gpus
from stitchpipe.engine.images import LINEAR, ImagesJob, indices_of_images
from stitchpipe.engine.memory import Evaluation
from stitchpipe.engine.plan import make_plan
from stitchpipe.engine.shapes import LayerShape, SplitShape
from stitchpipe.engine.work import Workplace
from stitchpipe.result import Result
from stitchpipe.rows import grid_label, width_of
from stitchpipe.sweep.ends import STITCH_VIEW, Ends, map_key, open_ends, pair_keys
from stitchpipe.sweep.folder import key_of, opened_store, writable_summaries
from stitchpipe.sweep.jobs import LayerName, all_layers, jobs
from stitchpipe.sweep.networks import gpus, layer_table
from stitchpipe.sweep.predictions import AGREEMENT, compare_predictions
from stitchpipe.sweep.progress import Report, silent
from stitchpipe.sweep.unfinished import Unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from distributed import Client

    from stitchpipe.config import Compare
    from stitchpipe.engine.images import Named, Outcome
    from stitchpipe.engine.steps import Chunk
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
            pair: tuple(i for i in table.indices if i != AGREEMENT and i not in held.get(key, ()))
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
    for table in tables:
        if agreements := compare_predictions(sweep, folder, table, held):
            written += _commit(folder, agreements)
    for results in filter(None, _carry_out(sweep, folder, ends, wanted, scheduler, report)):
        written += _commit(folder, results)
    return {
        "views": [table.view for table in tables],
        "pairs": sum(map(len, keys.values())),
        "computed": sum(map(len, wanted.pairs.values())),
        "numbers": written,
    }


def _commit(folder: Folder, results: Sequence[Result]) -> int:
    """Write a part of the results under a digest of what it holds; return how many there are."""
    part = key_of([(result.key, result.index) for result in results])
    folder.catalogue.write(COMPARED + part, results)
    return len(results)


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
    if not wanted.all_pairs():
        report(1, 1)
        return
    shapes, splits = _shapes(ends, wanted)
    work = _Work(sweep, folder, ends, wanted, shapes, splits)
    with _cluster(sweep, scheduler) as client:
        outcomes = work.compare_images(client, report)
        yield work.image_results(outcomes)
        yield from work.compare_moments(client, outcomes, report)


@contextmanager
def _cluster(sweep: Sweep, scheduler: str | None) -> Iterator[Client]:
    """Connect to the Dask cluster at an address, or start one: where products are formed on GPUs, a worker for each."""
    run = sweep.run
    count = gpus(sweep) if run.backend == "torch" and scheduler is None else 0
    workers = min(run.workers, count) if count else run.workers
    with cluster(scheduler, workers=workers, memory_limit_bytes=run.memory_limit_bytes) as client:
        if count:
            deal_gpus(client, count)
        yield client


def _shapes(ends: Ends, wanted: _Wanted) -> tuple[tuple[LayerShape, ...], tuple[SplitShape, ...]]:
    """Return what the engine must know of layers and splits; the training split only where a map is fitted."""
    held_out = any(index_named(index).held_out for indices in wanted.indices.values() for index in indices)
    fits = bool(wanted.maps) or held_out
    sides = [(end.train, end.test) if fits else (end.test,) for end in ends.values()]
    layers = tuple(
        LayerShape(
            end.name.model,
            end.name.layer,
            tuple(one.fingerprint for one in side),
            end.test.shape[1:],
            end.test.dtype.itemsize,
        )
        for end, side in zip(ends.values(), sides, strict=True)
    )
    return layers, tuple(
        SplitShape(one.address.dataset, one.address.split, one.row_groups) for one in sides[0]
    )


class _Work:
    """One run of the engine: indices over images, then those of moments."""

    def __init__(
        self,
        sweep: Sweep,
        folder: Folder,
        ends: Ends,
        wanted: _Wanted,
        shapes: tuple[LayerShape, ...],
        splits: tuple[SplitShape, ...],
    ) -> None:
        self._sweep, self._folder, self._wanted = sweep, folder, wanted
        self._shapes, self._splits = shapes, splits
        self._digests = tuple(end.test.digest for end in ends.values())
        self._names = list(ends)
        self._place = {name: number for number, name in enumerate(ends)}
        self._workplace = Workplace(
            opened_store(sweep, folder), writable_summaries(sweep, folder), sweep.run.device
        )
        images = min(MOST_IMAGES, splits[-1].n_samples)
        self._of_images = {
            view: indices_of_images(view, names, shapes, images) for view, names in wanted.indices.items()
        }

    def _numbered(self, pairs: frozenset[Pair]) -> frozenset[tuple[int, int]]:
        return frozenset((self._place[source], self._place[target]) for source, target in pairs)

    def compare_images(self, client: Client, report: Report) -> dict[Named, Outcome]:
        """Return the indices over images, and the null of those of moments."""
        permutations = self._sweep.certainty.permutations
        indices = {
            view: tuple(
                name
                for name in names
                if name in self._of_images[view] or (permutations and name in LINEAR and view != "positions")
            )
            for view, names in self._wanted.indices.items()
        }
        pairs = {view: self._numbered(self._wanted.pairs[view]) for view, names in indices.items() if names}
        if not pairs:
            return {}
        job = ImagesJob(
            self._workplace.store,
            self._workplace.summaries,
            self._shapes,
            self._splits[-1],
            indices,
            permutations,
        )
        return execute_images(client, job, pairs, report=report)

    def image_results(self, outcomes: Mapping[Named, Outcome]) -> list[Result]:
        """Return the results of the indices over images, in the order of the declared pairs."""
        return [
            self._image_result(
                view, pair, name, outcomes[view, (self._place[pair[0]], self._place[pair[1]]), name]
            )
            for view, pairs in self._wanted.pairs.items()
            for pair in sorted(pairs)
            for name in self._of_images[view]
        ]

    def _image_result(self, view: View, pair: Pair, name: str, outcome: Outcome) -> Result:
        source, target = (self._place[one] for one in pair)
        x, y = self._shapes[source], self._shapes[target]
        return Result(
            index=name,
            value=outcome.value,
            status=outcome.status,
            reason=outcome.reason,
            view=view,
            grid=grid_label(()),
            source_model=x.model,
            source_layer=x.layer,
            target_model=y.model,
            target_layer=y.layer,
            split=self._splits[-1].name,
            n_samples=outcome.n_samples,
            n_rows=outcome.n_samples,
            p=width_of(x.shape, view),
            q=width_of(y.shape, view),
            p_value=outcome.p_value,
            calibrated=outcome.calibrated,
            null_samples=None if outcome.p_value is None else outcome.n_samples,
            source_digest=self._digests[source],
            target_digest=self._digests[target],
            key=self._wanted.keys[view][pair],
        )

    def compare_moments(
        self, client: Client, outcomes: Mapping[Named, Outcome], report: Report
    ) -> Iterator[list[Result]]:
        """Yield the results of the indices of moments part by part, and write the maps that are wanted."""
        indices = {
            view: tuple(name for name in names if name not in self._of_images[view])
            for view, names in self._wanted.indices.items()
        }
        pairs = {
            view: pairs
            for view, pairs in self._wanted.all_pairs().items()
            if indices.get(view) or (view == STITCH_VIEW and self._wanted.maps)
        }
        if not pairs:
            return
        unfinished = Unfinished(self._folder, pairs)
        run = self._sweep.run
        plan = make_plan(
            self._shapes,
            {view: self._numbered(of_view) for view, of_view in unfinished.planned.items()},
            splits=self._splits,
            memory_limit_bytes=run.memory_limit_bytes,
            precision=run.products,
            evaluation=Evaluation.of(
                (index_named(name) for names in indices.values() for name in names),
                intervals=self._sweep.certainty.intervals,
            ),
            backend=run.backend,
        )
        request = Request(
            indices={view: indices.get(view, ()) for view in unfinished.planned},
            maps={(self._place[s], self._place[t]): path for (s, t), path in self._wanted.maps.items()},
            digests=self._digests,
            intervals=self._sweep.certainty.intervals,
        )
        still = {(view, *pair) for view, of_view in pairs.items() for pair in self._numbered(of_view)}

        def left(view: View, chunk: Chunk) -> bool:
            return any((view, *pair) in still for pair in chunk.pairs)

        yield [self._result(record, outcomes) for record in without_grid(plan, request)]
        for records in execute(client, Job(self._workplace, plan, request), report=report, wanted=left):
            yield [self._result(record, outcomes) for record in records]
        unfinished.finish()

    def _result(self, record: dict[str, Any], outcomes: Mapping[Named, Outcome]) -> Result:
        """Return a result with its key, and with what the null says of it."""
        source, target = (
            LayerName(record[f"{end}_model"], record[f"{end}_layer"]) for end in ("source", "target")
        )
        view, name = record["view"], record["index"]
        named = (view, (self._place[source], self._place[target]), name)
        record["key"] = self._wanted.keys[view][source, target]
        if named in outcomes and outcomes[named].p_value is not None and record["value"] is not None:
            null = outcomes[named]
            record |= {
                "p_value": null.p_value,
                "calibrated": null.calibrated,
                "null_samples": null.n_samples,
            }
        return Result(**record)
