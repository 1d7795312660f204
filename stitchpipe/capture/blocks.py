"""What dumps would store of several networks, block by block: checked, in the storage type, and not kept."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from stitchpipe.capture.precision import precision
from stitchpipe.capture.settings import FLOAT32_BYTES
from stitchpipe.capture.stored_values import as_array
from storage import LayerSpec, checked_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from stitchpipe.capture.network_capture import NetworkCapture
    from stitchpipe.capture.settings import Settings

Name: TypeAlias = tuple[str, str]
"""Model and layer."""
Values: TypeAlias = "Mapping[Name, npt.NDArray[Any]]"


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Some adjacent samples of every layer.

    Attributes
    ----------
    start, size
        Where they begin in the split's stored order, and how many they are.
    values
        ``(size, *shape)`` by layer, the networks' logits among them.
    """

    start: int
    size: int
    values: Values


def stored_blocks(
    captures: Mapping[str, NetworkCapture],
    row_group: int,
    *,
    samples: int,
    rows: tuple[int, int] | None = None,
) -> Iterator[Block]:
    """Run networks over the images of a row group; yield what their dumps would store, `samples` at a time.

    The values are those that a dump of each network would write: of the same batches, in the same precision, cast to
    the storage type by the same rules. All networks see a batch of images before the next one is loaded.

    Parameters
    ----------
    captures
        By model; over one split, with one batch size and storage type.
    samples
        Of a block; the last may be smaller.
    rows
        Only these stored rows of it, ``(start, stop)``; default: all. The batches are the same, so that those at
        either end are run once more where other rows of theirs are asked for.

    Raises
    ------
    storage.NonFiniteError, storage.RangeError
        A value that a dump would refuse; names model, layer and sample.

    Notes
    -----
    Memory: `planned_block_bytes`.
    """
    bounds = next(iter(captures.values())).split.row_groups[row_group]
    start, stop = rows or bounds
    for values in _cut(_batches(captures, row_group, (start, stop)), samples):
        size = _size(values)
        yield Block(start, size, values)
        start += size


def planned_block_bytes(shapes: Sequence[tuple[int, ...]], settings: Settings, *, samples: int) -> int:
    """Return the most that `stored_blocks` holds of layers of these shapes, beside networks and forward passes.

    Two batches (the next one is computed before the last one is given up), and a block that spans them, twice while
    it is put together.
    """
    return (2 * settings.batch_size + 2 * samples) * FLOAT32_BYTES * sum(map(prod, shapes))


def _batches(
    captures: Mapping[str, NetworkCapture], row_group: int, rows: tuple[int, int]
) -> Iterator[Values]:
    """Yield some rows of the layers of all networks, batch by batch of a row group."""
    first = next(iter(captures.values()))
    bounds = first.batch_bounds(row_group, rows)
    for (start, stop), images in zip(bounds, first.image_batches(row_group, rows), strict=True):
        ids = first.split.sample_ids[start:stop]
        wanted = slice(max(0, rows[0] - start), rows[1] - start)
        # All networks see these images before the next batch is loaded, so that each image is decoded once.
        by_layer: dict[Name, npt.NDArray[Any]] = {}
        for model, capture in captures.items():
            # Around the forward pass alone: whoever takes the values must not multiply in its precision.
            with precision(capture.settings.precision, capture.device):
                values = capture.values(images)
            for layer, activations in values.items():
                by_layer[model, layer] = _checked(
                    f"{model}/{layer}",
                    activations,
                    capture.settings.dtype,
                    row_group=row_group,
                    sample_ids=ids,
                )
        yield {name: values[wanted] for name, values in by_layer.items()}


def _checked(
    label: str, values: Tensor, dtype: str, *, row_group: int, sample_ids: Sequence[str]
) -> npt.NDArray[Any]:
    """Return a layer's values as the store would take them, in memory of their own."""
    spec = LayerSpec(tuple(values.shape[1:]), dtype)
    rows, _ = checked_rows(label, spec, as_array(values), row_group=row_group, sample_ids=sample_ids)
    return rows


def _cut(batches: Iterable[Values], samples: int) -> Iterator[Values]:
    """Yield the samples of all batches in blocks of `samples`; what lies in one batch is not copied."""
    rest: Values = {}
    for batch in batches:
        start, size = 0, _size(batch)
        if rest:  # a block that spans two batches is begun: fill it up first
            start = min(samples - _size(rest), size)
            rest = {name: np.concatenate([rest[name], values[:start]]) for name, values in batch.items()}
            if _size(rest) < samples:
                continue
            yield rest
        while size - start >= samples:
            yield {name: values[start : start + samples] for name, values in batch.items()}
            start += samples
        rest = {name: values[start:] for name, values in batch.items()} if start < size else {}
    if rest:
        yield rest


def _size(values: Values) -> int:
    return len(next(iter(values.values())))
