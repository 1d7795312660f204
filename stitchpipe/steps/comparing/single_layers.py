"""Numbers of single layers that tables of comparisons ask for: those that are missing, on Dask, kept as they come."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra.layers import layer_measure_named
from stitchpipe.engine import LayerShape, LayerTask, LayerWork, SplitShape, TaskResources, beside_worker_bytes
from stitchpipe.engine.cluster import execute_layers
from stitchpipe.run.keys import deletions_key, layer_key
from stitchpipe.run.names import TEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra.deletions import LayerDeletions
    from stitchpipe.config import Compare
    from stitchpipe.engine import MeasuredLayer
    from stitchpipe.engine.cluster import Cluster
    from stitchpipe.rows import View
    from stitchpipe.run import Run
    from stitchpipe.run.activations import StoredEnd
    from stitchpipe.run.names import LayerName
    from stitchpipe.steps.progress import Report

KEPT_AT_ONCE: Final = 64
"""Layers whose numbers are kept as one record: what a killed command loses at most."""


@dataclass(frozen=True)
class Measured:
    """How much was computed: numbers of single layers, and layers held against their components by an index."""

    numbers: int = 0
    deletions: int = 0


def measure_layers(run: Run, tables: Sequence[Compare], cluster: Cluster, report: Report) -> Measured:
    """Compute the numbers of single layers, and their deletions, that are not there yet; return how many.

    Raises
    ------
    ConfigError, storage.StoreError, engine.ExecutionError
        Nothing is dumped yet, a shard is damaged, or the cluster is lost.
    """
    tables = [table for table in tables if table.layer_measures or table.deletions]
    if not tables:
        return Measured()
    ends = list(run.stored_activations().ends(run.layers.names()).values())
    keys = _Keys(ends)
    tasks = _missing(run, tables, keys, len(ends))
    if not tasks:
        return Measured()
    kept = _Kept(run, ends, keys)
    try:
        with cluster.watched() as client:
            for measured in execute_layers(client, _work(run, ends), tasks, report=report):
                kept.take(measured)
    finally:
        kept.write()
    return kept.written


def _missing(run: Run, tables: Sequence[Compare], keys: _Keys, count: int) -> list[LayerTask]:
    """Return what is not there yet of `count` layers, a task for each layer and view."""
    held, deleted = run.place.layer_numbers.held(), set[tuple[str, str]]()
    if any(table.deletions for table in tables):
        deleted = run.place.deletions.held()
    tasks = [
        LayerTask(
            place,
            table.view,
            tuple(m for m in table.layer_measures if (keys.of(place, table.view, m), m) not in held),
            tuple(
                index
                for index in table.deletion_indices
                if (keys.of_deletions(place, table.view), index) not in deleted
            ),
        )
        for table in tables
        for place in range(count)
    ]
    return [task for task in tasks if task.measures or task.deletions]


class _Kept:
    """Writes what is measured, some layers at a time."""

    def __init__(self, run: Run, ends: Sequence[StoredEnd], keys: _Keys) -> None:
        self._run, self._ends, self._keys = run, ends, keys
        self._numbers: list[dict[str, Any]] = []
        self._deletions: list[dict[str, Any]] = []
        self._layers = 0
        self.written = Measured()

    def take(self, measured: MeasuredLayer) -> None:
        """Take what a layer gave; write what has come together."""
        end, task = self._ends[measured.task.layer], measured.task
        self._numbers += _rows(self._run, end, measured, self._keys)
        if measured.deletions is not None:
            key = self._keys.of_deletions(task.layer, task.view)
            self._deletions.append(_entry(self._run, end, measured, measured.deletions, key))
        self.written = Measured(
            self.written.numbers + len(measured.numbers), self.written.deletions + len(task.deletions)
        )
        self._layers += 1
        if self._layers % KEPT_AT_ONCE == 0:
            self.write()

    def write(self) -> None:
        """Write what is there."""
        numbers, deletions = self._numbers, self._deletions
        self._numbers, self._deletions = [], []
        self._run.place.layer_numbers.add(numbers)
        self._run.place.deletions.add(deletions)


class _Keys:
    """The keys of the numbers of layers, given by their places."""

    def __init__(self, ends: Sequence[StoredEnd]) -> None:
        self._ends = ends

    def of(self, place: int, view: View, measure: str) -> str:
        """Return the key of a number; of what reads labels they are a part."""
        labels = self._labels if layer_measure_named(measure).reads_labels else None
        return layer_key(self._ends[place].side, view=view, labels=labels)

    def of_deletions(self, place: int, view: View) -> str:
        """Return the key of what is left of a layer, held against the whole."""
        return deletions_key(self._ends[place].side, view=view, labels=self._labels)

    @cached_property
    def _labels(self) -> str:
        # All layers have the same samples, and so the same labels.
        return _labels_digest(self._ends[0])


def _labels_digest(end: StoredEnd) -> str:
    """Return a digest of the labels of both splits."""
    hashed = sha256()
    for contents in (end.train, end.test):
        labels = contents.split.labels
        hashed.update(b"none" if labels is None else np.asarray(labels, np.int64).tobytes())
        # Errors of what is told of classes are over groups, where there are any.
        hashed.update((contents.group_digest or "").encode())
    return hashed.hexdigest()[:16]


def _work(run: Run, ends: Sequence[StoredEnd]) -> LayerWork:
    layers = tuple(
        LayerShape(
            end.name.model,
            end.name.layer,
            (end.train.fingerprint, end.test.fingerprint),
            end.test.shape[1:],
            end.test.dtype.itemsize,
            max(end.train.chunk_rows, end.test.chunk_rows),
            end.grid if len(end.grid) == 3 else None,
        )
        for end in ends
    )
    train, test = (
        SplitShape(
            contents.address.dataset,
            contents.address.split,
            contents.row_groups,
            contents.split.group_bounds,
        )
        for contents in (ends[0].train, ends[0].test)
    )
    room = beside_worker_bytes(run.sweep.run.memory_limit_bytes, "numpy")
    return LayerWork(TaskResources(run.store, run.writable_summaries()), layers, (train, test), room)


def _rows(run: Run, end: StoredEnd, measured: MeasuredLayer, keys: _Keys) -> list[dict[str, Any]]:
    """Return the numbers of a layer as they are kept."""
    common = _common(run, end, measured)
    return [
        {
            **common,
            "measure": measure,
            "key": keys.of(measured.task.layer, measured.task.view, measure),
            "value": number.value,
            "standard_error": number.standard_error,
            "status": number.status,
            "reason": number.reason,
        }
        for measure, number in measured.numbers.items()
    ]


def _entry(
    run: Run, end: StoredEnd, measured: MeasuredLayer, deletions: LayerDeletions, key: str
) -> dict[str, Any]:
    """Return the deletions of a layer as they are kept."""
    left = deletions.deletions
    return {
        **_common(run, end, measured),
        "key": key,
        "whole_accuracy": deletions.accuracy,
        "rank": [each.rank for each in left],
        "variance": [each.variance for each in left],
        "accuracy": [each.accuracy for each in left],
        "numbers": {
            index: [(each.numbers[k].value, each.numbers[k].status, each.numbers[k].reason) for each in left]
            for k, index in enumerate(measured.task.deletions)
        },
        "status": deletions.status,
        "reason": deletions.reason,
    }


def _common(run: Run, end: StoredEnd, measured: MeasuredLayer) -> dict[str, Any]:
    """Return what numbers of a layer say of it."""
    name: LayerName = end.name
    return {
        "model": name.model,
        "layer": name.layer,
        "depth": run.layers.depths.get(name),
        "view": measured.task.view,
        "split": TEST,
        "n_samples": measured.n_samples,
        "n_rows": measured.n_rows,
        "p": measured.p,
        "digest": end.test.digest,
        "fingerprint": end.test.fingerprint,
    }
