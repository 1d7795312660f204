"""Write the layers of a model on a split to the store: all layers of a row group in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stitchpipe.capture.provenance import provenance
from stitchpipe.errors import ExplainedError
from stitchpipe.graph import extractor
from stitchpipe.models import weights_digest
from storage import LayerSpec, Split, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stitchpipe.data import ImageSplit

CAPTURE_VERSION = 1
"""Raised when the same inputs would give other values."""


class CaptureError(ExplainedError, RuntimeError):
    """A model cannot be dumped: its outputs are not what a store should keep."""


@dataclass(frozen=True, slots=True)
class DumpRecord:
    """What a dump gave; `row_groups_written` is 0 where everything was there."""

    fingerprint: str
    layers: tuple[str, ...]
    n_samples: int
    row_groups: int
    row_groups_written: int


def dump(
    network: nn.Module,
    images: ImageSplit,
    store: Store,
    *,
    model: str,
    architecture: str,
    layers: Sequence[str],
    dtype: str = "float32",
    batch_size: int = 64,
    device: torch.device | None = None,
    on_row_group: Callable[[int, int], None] | None = None,
) -> DumpRecord:
    """Run `network` once over a split that the store knows, and seal its `layers` and its logits.

    A sealed dump costs no forward pass; an interrupted one goes on at the row groups that are missing. Batches
    start at row-group boundaries, so that a row group's values do not depend on what was done before it.

    Parameters
    ----------
    on_row_group
        Called with (done, total) row groups.

    Raises
    ------
    CaptureError
        Two forward passes of the same images differ.
    storage.StoreError
        Values are not finite or do not fit `dtype`, or the store refuses them.
    """
    device = torch.device("cpu") if device is None else device
    network = network.to(device).eval()
    split = store.split(images.dataset, images.name)
    run = extractor(network, layers)
    example = _layers_of(run, images.batch([0]).to(device))
    job = store.begin_dump(
        dataset=images.dataset,
        split=images.name,
        model=model,
        layers={name: LayerSpec(tuple(values.shape[1:]), dtype) for name, values in example.items()},
        identity=identity(network, architecture, images, dtype=dtype, batch_size=batch_size),
        provenance=provenance(device),
    )
    missing = job.missing_row_groups()
    total = len(split.row_groups)
    if missing:
        _check_deterministic(
            run, _batch(images, split, split.row_groups[missing[0]], batch_size)[0].to(device)
        )
    for done, row_group in enumerate(missing, start=total - len(missing)):
        if on_row_group is not None:
            on_row_group(done, total)
        batches = _batch(images, split, split.row_groups[row_group], batch_size)
        job.write(row_group, _row_group(run, batches, device))
    job.seal()
    if on_row_group is not None:
        on_row_group(total, total)
    return DumpRecord(job.fingerprint, tuple(layers), split.n_samples, total, len(missing))


def identity(
    network: nn.Module, architecture: str, images: ImageSplit, *, dtype: str, batch_size: int
) -> Mapping[str, Any]:
    """Return what makes a dump's values what they are; its digest is the dump's fingerprint."""
    return {
        "weights": weights_digest(network),
        "architecture": architecture,
        "data": images.digest,
        "preprocessing": dict(images.preprocessing),
        "dtype": dtype,
        "batch_size": batch_size,
        "view": None,
        "capture_version": CAPTURE_VERSION,
    }


def _batch(images: ImageSplit, split: Split, bounds: tuple[int, int], batch_size: int) -> list[Tensor]:
    """Return the images of a row group in batches, in storage order."""
    start, stop = bounds
    positions = split.original_index[start:stop].tolist()
    return [images.batch(positions[at : at + batch_size]) for at in range(0, len(positions), batch_size)]


def _row_group(
    run: Callable[[Tensor], dict[str, Tensor]], batches: Sequence[Tensor], device: torch.device
) -> dict[str, npt.NDArray[np.floating]]:
    parts = [_layers_of(run, batch.to(device)) for batch in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _layers_of(
    run: Callable[[Tensor], dict[str, Tensor]], batch: Tensor
) -> dict[str, npt.NDArray[np.floating]]:
    return {name: values.float().cpu().numpy() for name, values in run(batch).items()}


def _check_deterministic(run: Callable[[Tensor], dict[str, Tensor]], batch: Tensor) -> None:
    """Refuse a model that answers the same images twice in different ways: dropout, or batch norm in training."""
    first, second = _layers_of(run, batch), _layers_of(run, batch)
    for name, values in first.items():
        scale = max(float(np.abs(values).max()), 1e-30)
        difference = float(np.abs(values - second[name]).max())
        if not difference <= 1e-5 * scale:
            raise CaptureError(
                where=f"layer '{name}'",
                expected="the same activations from two forward passes of the same images",
                found=f"differences up to {difference:.3g}",
                remedy="Dropout or batch normalisation is in training mode, or the network draws random numbers.",
            )
