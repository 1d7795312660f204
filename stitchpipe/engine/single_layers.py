"""Measures of one layer by itself: the layer is read once under a view, and all that is asked of it is computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra import CentredRows, Moments
from stitchpipe.algebra.certainty import group_codes
from stitchpipe.algebra.deletions import LayerDeletions, low_rank_deletions
from stitchpipe.algebra.layer_measure import LabelledRows, LayerContents, LayerNumber
from stitchpipe.algebra.layers import layer_measure_named
from stitchpipe.engine.planning.shapes import STORAGE_EPS
from stitchpipe.registry import index_named
from stitchpipe.rows import rows_per_sample, to_rows, width_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from stitchpipe.algebra.layer_measure import LayerMeasure
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.engine.resources import TaskResources
    from stitchpipe.rows import Float64, View
    from storage import Representation

BLOCK_BYTES: Final = 16 * 2**20
"""What a block of samples may take as rows."""
COPIES: Final = 4
"""How often rows are held at once, at most: as they came, centred, standardised, and in a fit."""
UNLABELLED: Final = "the images have no labels, or only one of the splits has"
DELETED_COPIES: Final = 8
"""The same where components are deleted: what is left of the rows, and of both splits in coordinates, beside these."""


@dataclass(frozen=True, slots=True)
class LayerTask:
    """What is asked of one layer, given by its place, under one view.

    `deletions` are the indices by which what is left of it is held against the whole (`stitchpipe.algebra.deletions`).
    """

    layer: int
    view: View
    measures: tuple[str, ...]
    deletions: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerWork:
    """What every task is given. Picklable.

    Attributes
    ----------
    splits
        The one that probes are fitted on and the one that is scored; each layer has a fingerprint for each.
    room_bytes
        What rows may take in a worker.
    """

    resources: TaskResources
    layers: tuple[LayerShape, ...]
    splits: tuple[SplitShape, SplitShape]
    room_bytes: int


@dataclass(frozen=True)
class MeasuredLayer:
    """The numbers of a task, by measure, and what they rest on; its deletions where they are asked for."""

    task: LayerTask
    numbers: Mapping[str, LayerNumber]
    n_samples: int
    n_rows: int
    p: int
    deletions: LayerDeletions | None = None


def measure_layer(work: LayerWork, task: LayerTask) -> MeasuredLayer:
    """Return all numbers that are asked of one layer.

    Raises
    ------
    storage.StoreError
        The representation is missing or damaged.

    Notes
    -----
    Reads the layer once, and the training split once where a probe or deletions are asked for. Holds its rows where
    images are points or there are fewer images than features, else p² numbers and a block; what does not fit is a
    number that is missing.
    """
    layer, (train, scored) = work.layers[task.layer], work.splits
    p, n = width_of(layer.shape, task.view), scored.n_samples
    measures = {name: layer_measure_named(name) for name in task.measures}
    numbers, left = _refused(work, task, measures)
    deletions = _refused_deletions(work, task)
    deletes = bool(task.deletions) and deletions is None
    if left or deletes:
        with threadpool_limits(limits=1):
            stored = work.resources.open(layer, scored, layer.fingerprints[1])
            keep = deletes or any(map(_reads_rows, left.values())) or _is_wide(p, n)
            contents = _contents(stored, layer, task.view, keep=keep)
            if deletes or any(measure.reads_labels for measure in left.values()):
                fitted = work.resources.open(layer, train, layer.fingerprints[0])
                contents = _labelled(contents, stored, fitted, layer, task.view)
                if scored.groups is not None:
                    contents = replace(contents, groups=group_codes(scored.groups))
            numbers |= {name: _number(measure, contents) for name, measure in left.items()}
            if deletes:
                deletions = _deletions(contents, task, scored.n_images)
    rows = n * rows_per_sample(task.view, layer.grid)
    of_measures = {name: numbers[name] for name in task.measures}
    return MeasuredLayer(task, of_measures, n, rows, p, deletions)


def _number(measure: LayerMeasure, contents: LayerContents) -> LayerNumber:
    if measure.reads_labels and (contents.train is None or contents.labels is None):
        return LayerNumber(None, "no_labels", UNLABELLED)
    return measure.number(contents)


def _deletions(contents: LayerContents, task: LayerTask, images: int) -> LayerDeletions:
    if contents.rows is None or contents.labels is None or contents.train is None:
        return LayerDeletions(status="no_labels", reason=UNLABELLED)
    return low_rank_deletions(
        contents.train,
        LabelledRows(contents.rows, contents.labels),
        [index_named(name) for name in task.deletions],
        images=images,
        storage_eps=contents.storage_eps,
    )


def _refused_deletions(work: LayerWork, task: LayerTask) -> LayerDeletions | None:
    """Return why there are no deletions where their rows do not fit; None where they do, or none are asked for."""
    p = width_of(work.layers[task.layer].shape, task.view)
    images = sum(split.n_samples for split in work.splits)
    reason = _too_large(work, images, p, DELETED_COPIES) if task.deletions else None
    return None if reason is None else LayerDeletions(status="too_large", reason=reason)


def _too_large(work: LayerWork, images: int, p: int, copies: int) -> str | None:
    """Return why rows of so many images do not fit; None where they do."""
    needed = 8 * p * images * copies
    if needed <= work.room_bytes:
        return None
    return f"{images} rows of {p} features take {needed} bytes, a worker has {work.room_bytes}"


def _refused(
    work: LayerWork, task: LayerTask, measures: Mapping[str, LayerMeasure]
) -> tuple[dict[str, LayerNumber], dict[str, LayerMeasure]]:
    """Return the measures whose rows do not fit, with the reason, and the others."""
    layer, (train, scored) = work.layers[task.layer], work.splits
    p, n = width_of(layer.shape, task.view), scored.n_samples
    refused, left = {}, {}
    for name, measure in measures.items():
        held = n if _reads_rows(measure) or _is_wide(p, n) else 3 * p
        images = held + (train.n_samples if measure.reads_labels else 0)
        reason = _too_large(work, images, p, COPIES)
        if reason is None:
            left[name] = measure
        else:
            refused[name] = LayerNumber(None, "too_large", reason)
    return refused, left


def _reads_rows(measure: LayerMeasure) -> bool:
    return measure.measure.computed_from != "moments"


def _is_wide(p: int, n: int) -> bool:
    """Return whether a layer has more features than images: then its rows are smaller than its moments."""
    return p > n


def _contents(stored: Representation, layer: LayerShape, view: View, *, keep: bool) -> LayerContents:
    """Return a layer's moments, and its rows where they are to be kept; the same digits either way."""
    eps = STORAGE_EPS[layer.itemsize]
    kept: list[Float64] = []

    def blocks() -> Iterator[Float64]:
        for block in _blocks(stored, layer, view):
            if keep:
                kept.append(block)
            yield block

    if view != "positions" and _is_wide(width_of(layer.shape, view), stored.n_samples):
        rows = np.concatenate(list(_blocks(stored, layer, view)))
        return LayerContents(CentredRows.of(rows).narrowed().moments, eps, rows)
    moments = reduce(Moments.merge, (Moments.from_block(block) for block in blocks()))
    return LayerContents(moments, eps, np.concatenate(kept) if keep and view != "positions" else None)


def _labelled(
    contents: LayerContents, stored: Representation, fitted: Representation, layer: LayerShape, view: View
) -> LayerContents:
    """Return the contents with labels and with the training images, as far as there are labels."""
    labels, of_fit = _labels(stored), _labels(fitted)
    train = None
    if of_fit is not None:
        train = LabelledRows(np.concatenate(list(_blocks(fitted, layer, view))), of_fit)
    return LayerContents(contents.moments, contents.storage_eps, contents.rows, labels, train)


def _labels(stored: Representation) -> npt.NDArray[np.int64] | None:
    labels = stored.split.labels
    return None if labels is None else np.asarray(labels, dtype=np.int64)


def _blocks(stored: Representation, layer: LayerShape, view: View) -> Iterator[Float64]:
    """Yield the rows of a layer, some samples at a time, in the order of the store."""
    samples = max(1, BLOCK_BYTES // (8 * prod(layer.shape)))
    for group in range(len(stored.row_groups)):
        for block in stored.blocks(group, samples):
            yield to_rows(block, view, tokens=layer.tokens)
