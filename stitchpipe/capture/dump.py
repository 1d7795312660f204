"""Write the layers of a model on a split to the store: one pass for all layers, writing while it computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stitchpipe.capture.determinism import CaptureError, check_deterministic
from stitchpipe.capture.kept import is_finite, kept
from stitchpipe.capture.precision import precision
from stitchpipe.capture.provenance import provenance
from stitchpipe.capture.settings import Settings
from stitchpipe.capture.write_behind import WriteBehind, as_array
from stitchpipe.graph import extractor
from stitchpipe.models import weights_digest
from storage import Address, Dump, LayerSpec, Split, Store, UnfinishedError, part_of, same_but_for_rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from stitchpipe.data import ImageSplit

CAPTURE_VERSION = 2
"""Raised when the same inputs would give other values."""


@dataclass(frozen=True, slots=True)
class DumpRecord:
    """What a dump gave.

    Attributes
    ----------
    row_groups_written
        0 where everything was there.
    sealed
        False where other parts of a divided dump are missing.
    reprobed
        Whether a finished dump of other versions or precision was taken over, after one row group was compared.
    """

    fingerprint: str
    layers: tuple[str, ...]
    n_samples: int
    row_groups: int
    row_groups_written: int
    sealed: bool = True
    reprobed: bool = False


def dump(  # noqa: PLR0913  (keyword-only beyond the three)
    network: nn.Module,
    images: ImageSplit,
    store: Store,
    *,
    model: str,
    architecture: str,
    layers: Sequence[str],
    settings: Settings | None = None,
    device: torch.device | None = None,
    part: tuple[int, int] = (0, 1),
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
    settings
        Storage type, batch size, view, precision, encoding, and how much may wait to be written.
    part
        ``(k, n)``: only the k-th of n ranges of row groups, for n processes or machines that share a dump. Whoever is
        last seals it, and the bytes are those that one process would have written.
    on_row_group
        Called with (done, total) row groups of this part.

    Raises
    ------
    CaptureError
        The network does not answer the same image in the same way every time, the store's split holds other
        images than `images`, or a finished dump of other versions holds other values.
    stitchpipe.graph.LayerError, stitchpipe.graph.TraceError
        No such layer; the network cannot be traced.
    storage.StoreError
        Values are not finite or do not fit the storage type, or the store refuses them.

    Notes
    -----
    Memory: `settings.planned_peak_bytes`, whatever the number of images.
    """
    settings = Settings() if settings is None else settings
    device = torch.device("cpu") if device is None else device
    network = network.to(device).eval()
    split = store.split(images.dataset, images.name)
    _check_same_images(images, split)
    source = _Source(
        in_full=extractor(network, layers),
        kept=extractor(network, layers, keep=partial(kept, settings=settings)),
        images=images,
        split=split,
        settings=settings,
        device=device,
    )
    with precision(settings.precision, device):
        example = source.in_full(images.batch([0]).to(device))
        job = store.begin_dump(
            dataset=images.dataset,
            split=images.name,
            model=model,
            layers={
                name: LayerSpec(settings.view.shape(tuple(values.shape[1:])), settings.dtype)
                for name, values in example.items()
            },
            identity=identity(network, architecture, images, settings=settings),
            provenance=provenance(device, settings.precision.autocast),
            encoding=settings.encoding,
        )
        missing = job.missing_row_groups(part=part[0], parts=part[1])
        reprobed = job.sealed and _reprobe(source, store, job)
        mine = part_of(len(split.row_groups), part=part[0], parts=part[1])
        written = _write(source, job, missing, of=len(mine), report=on_row_group)
    return DumpRecord(
        job.fingerprint,
        tuple(layers),
        split.n_samples,
        len(split.row_groups),
        written,
        sealed=_seal(job, divided=part[1] > 1),
        reprobed=reprobed,
    )


def identity(
    network: nn.Module, architecture: str, images: ImageSplit, *, settings: Settings
) -> Mapping[str, Any]:
    """Return what makes a dump's values what they are; its digest is the dump's fingerprint."""
    return {
        "weights": weights_digest(network),
        "architecture": architecture,
        "data": images.digest,
        "preprocessing": dict(images.preprocessing),
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        "view": settings.view.identity(),
        "capture_version": CAPTURE_VERSION,
    }


@dataclass(frozen=True)
class _Source:
    """Where activations come from: a network over the images of a split, in storage order."""

    in_full: Callable[[Tensor], Mapping[str, Tensor]]
    kept: Callable[[Tensor], Mapping[str, Tensor]]
    images: ImageSplit
    split: Split
    settings: Settings
    device: torch.device

    def batches(self, row_group: int) -> Iterator[Mapping[str, Tensor]]:
        """Yield what is kept of a row group, batch by batch, in the storage type.

        A batch that holds what this type cannot hold is computed again and yielded as it is: the store refuses it
        with the layer, the sample and the value.
        """
        positions = self.split.original_index[slice(*self.split.row_groups[row_group])]
        # As few batches as can be, of equal sizes: a remainder of a few images would cost as much as a batch.
        for chosen in np.array_split(positions, -(-len(positions) // self.settings.batch_size)):
            images = self.images.batch(chosen.tolist()).to(self.device)
            values = self.kept(images)
            if all(is_finite(one) for one in values.values()):
                yield values
            else:
                yield {name: self.settings.view.apply(one) for name, one in self.in_full(images).items()}

    def probe(self) -> None:
        """Check the network on the split's first images in storage order, two at least."""
        positions = self.split.original_index[: max(self.settings.batch_size, 2)].tolist()
        check_deterministic(self.in_full, self.images.batch(positions).to(self.device))


def _write(
    source: _Source, job: Dump, missing: Sequence[int], *, of: int, report: Callable[[int, int], None] | None
) -> int:
    """Compute and write what is missing of `of` row groups; return how many this process wrote."""

    def tell(done: int) -> None:
        if report is not None:
            report(done, of)

    if not missing:
        tell(of)
        return 0
    source.probe()
    settings = source.settings
    there = of - len(missing)
    with WriteBehind(job, queue_bytes=settings.queue_bytes, writers=settings.writers) as queue:
        for row_group in missing:
            tell(there + queue.committed)
            if job.is_written(row_group):  # by another process, meanwhile
                there += 1
                continue
            for batch in source.batches(row_group):
                queue.put(row_group, batch)
    tell(of)
    return queue.committed


def _seal(job: Dump, *, divided: bool) -> bool:
    """Seal a dump; of a divided one, only where all other parts are there."""
    try:
        job.seal()
    except UnfinishedError:
        if not divided:
            raise
        return False
    return True


def _reprobe(source: _Source, store: Store, job: Dump) -> bool:
    """Compare one row group with a sealed dump that was made under other versions or in another precision.

    Raises
    ------
    CaptureError
        The values differ by more than rounding.
    """
    address = Address(job.split.dataset, job.split.name, job.identity.model, "")
    held = {
        layer: store.representation(replace(address, layer=layer), fingerprint=job.fingerprint)
        for layer in job.requested
    }
    if all(job.provenance in one.provenances for one in held.values()):
        return False
    row_group = len(job.split.row_groups) - 1  # the smallest
    parts = [
        {name: as_array(values) for name, values in batch.items()} for batch in source.batches(row_group)
    ]
    for name, one in held.items():
        found = np.concatenate([part[name] for part in parts]).astype(one.dtype, copy=False)
        if not same_but_for_rounding(one.read(row_group), found):
            raise CaptureError(
                where=one.address.label(job.fingerprint),
                expected="the values that were dumped under other versions or in another precision",
                found="others, by more than 1 % of the largest: "
                + _differences(one.provenances[0], job.provenance),
                remedy="Dump into another store, or evict this dump and make it again.",
            )
    return True


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the entries that differ, as ``name: old → new``."""
    keys = sorted({*old, *new})
    return ", ".join(
        f"{key}: {old.get(key)} → {new.get(key)}" for key in keys if old.get(key) != new.get(key)
    )


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
