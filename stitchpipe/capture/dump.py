"""Write the layers of a model on a split to the store: all layers of a row group in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stitchpipe.capture.determinism import CaptureError, check_deterministic, full_precision
from stitchpipe.capture.provenance import provenance
from stitchpipe.graph import Extractor, extractor
from stitchpipe.models import weights_digest
from storage import LayerSpec, Split, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stitchpipe.data import ImageSplit

CAPTURE_VERSION = 1
"""Raised when the same inputs would give other values."""


@dataclass(frozen=True, slots=True)
class DumpRecord:
    """What a dump gave; `row_groups_written` is 0 where everything was there."""

    fingerprint: str
    layers: tuple[str, ...]
    n_samples: int
    row_groups: int
    row_groups_written: int


def dump(  # noqa: PLR0913  (keyword-only beyond the three)
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

    A sealed dump costs a forward pass of one image; an interrupted one goes on at the row groups that are
    missing. Images are read in storage order, and batches start at row-group boundaries, so that a row group's
    values do not depend on what was done before it. `network` is moved to `device` and left in eval mode.

    Parameters
    ----------
    architecture
        Its name with its options; part of the identity.
    dtype
        How values are stored, ``float32`` or ``float16``; the forward pass is in float32 either way.
    on_row_group
        Called with (done, total) row groups.

    Raises
    ------
    CaptureError
        The network does not answer the same image in the same way every time, or the store's split holds other
        images than `images`.
    stitchpipe.graph.LayerError, stitchpipe.graph.TraceError
        No such layer; the network cannot be traced.
    storage.StoreError
        Values are not finite or do not fit `dtype`, or the store refuses them.

    Notes
    -----
    Holds the activations of one row group at a time.
    """
    device = torch.device("cpu") if device is None else device
    network = network.to(device).eval()
    split = store.split(images.dataset, images.name)
    _check_same_images(images, split)
    run = extractor(network, layers)
    with full_precision():
        example = run(images.batch([0]).to(device))
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
            _probe(run, images, split, batch_size, device)
        for done, row_group in enumerate(missing, start=total - len(missing)):
            if on_row_group is not None:
                on_row_group(done, total)
            batches = _batches(images, split.original_index[slice(*split.row_groups[row_group])], batch_size)
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


def _check_same_images(images: ImageSplit, split: Split) -> None:
    """Refuse a split whose ids, put back into the data set's order, are not those of `images`."""
    stored = np.empty(split.n_samples, dtype=object)
    stored[split.original_index] = split.sample_ids
    if tuple(stored) == tuple(images.sample_ids):
        return
    pairs = zip(stored, images.sample_ids, strict=False)
    place = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
    found = f"'{images.sample_ids[place]}' at position {place}" if place is not None else f"{len(images)} ids"
    expected = f"'{stored[place]}'" if place is not None else f"{split.n_samples} ids"
    raise CaptureError(
        where=f"data set '{images.dataset}', split '{images.name}'",
        expected=f"the samples that the store holds under this name ({expected})",
        found=found,
        remedy="Store changed data under another name.",
    )


def _probe(run: Extractor, images: ImageSplit, split: Split, batch_size: int, device: torch.device) -> None:
    """Check the network on the split's first images in storage order, two at least."""
    positions = split.original_index[: max(batch_size, 2)].tolist()
    check_deterministic(run, images.batch(positions).to(device))


def _batches(images: ImageSplit, positions: npt.NDArray[np.int64], batch_size: int) -> Iterator[Tensor]:
    for at in range(0, len(positions), batch_size):
        yield images.batch(positions[at : at + batch_size].tolist())


def _row_group(
    run: Extractor, batches: Iterator[Tensor], device: torch.device
) -> dict[str, npt.NDArray[np.floating]]:
    """Return layer → activations of a row group, ``(n, …)`` in float32."""
    parts = [
        {name: values.float().cpu().numpy() for name, values in run(batch.to(device)).items()}
        for batch in batches
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
