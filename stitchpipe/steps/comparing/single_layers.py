"""Numbers of single layers that tables of comparisons ask for: those that are missing, on Dask, kept as they come."""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra.layers import layer_measure_named
from stitchpipe.engine import LayerShape, LayerTask, LayerWork, SplitShape, TaskResources, beside_worker_bytes
from stitchpipe.engine.cluster import execute_layers
from stitchpipe.run.keys import layer_key
from stitchpipe.run.names import TEST

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def measure_layers(run: Run, tables: Sequence[Compare], cluster: Cluster, report: Report) -> int:
    """Compute the numbers of single layers that are not there yet; return how many.

    Raises
    ------
    ConfigError, storage.StoreError, engine.ExecutionError
        Nothing is dumped yet, a shard is damaged, or the cluster is lost.
    """
    tables = [table for table in tables if table.layer_measures]
    if not tables:
        return 0
    ends = list(run.stored_activations().ends(run.layers.names()).values())
    keys = _Keys(ends)
    held = run.place.layer_numbers.held()
    tasks = [
        LayerTask(place, table.view, missing)
        for table in tables
        for place in range(len(ends))
        if (
            missing := tuple(
                m for m in table.layer_measures if (keys.of(place, table.view, m), m) not in held
            )
        )
    ]
    if not tasks:
        return 0
    work, written, waiting = _work(run, ends), 0, list[dict[str, Any]]()
    try:
        with cluster.watched() as client:
            for count, measured in enumerate(execute_layers(client, work, tasks, report=report), 1):
                waiting += _rows(run, ends[measured.task.layer], measured, keys)
                written += len(measured.numbers)
                if count % KEPT_AT_ONCE == 0:
                    run.place.layer_numbers.add(waiting)
                    waiting = []
    finally:
        run.place.layer_numbers.add(waiting)
    return written


class _Keys:
    """The keys of the numbers of layers, given by their places."""

    def __init__(self, ends: Sequence[StoredEnd]) -> None:
        self._ends = ends

    def of(self, place: int, view: View, measure: str) -> str:
        """Return the key of a number; of what reads labels they are a part."""
        labels = self._labels if layer_measure_named(measure).reads_labels else None
        return layer_key(self._ends[place].side, view=view, labels=labels)

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
        SplitShape(contents.address.dataset, contents.address.split, contents.row_groups)
        for contents in (ends[0].train, ends[0].test)
    )
    room = beside_worker_bytes(run.sweep.run.memory_limit_bytes, "numpy")
    return LayerWork(TaskResources(run.store, run.writable_summaries()), layers, (train, test), room)


def _rows(run: Run, end: StoredEnd, measured: MeasuredLayer, keys: _Keys) -> list[dict[str, Any]]:
    """Return the numbers of a layer as they are kept."""
    name: LayerName = end.name
    common = {
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
