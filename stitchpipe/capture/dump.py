"""Write the layers of a model on a split to the store: one pass for all layers, writing while it computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stitchpipe.capture.determinism import CaptureError
from stitchpipe.capture.network_capture import NetworkCapture, identity
from stitchpipe.capture.precision import precision
from stitchpipe.capture.provenance import provenance
from stitchpipe.capture.settings import Settings
from stitchpipe.capture.stored_values import as_array
from stitchpipe.capture.writing_thread import WritingThread
from storage import Address, Dump, LayerSpec, Store, UnfinishedError, part_of, same_but_for_rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

    from stitchpipe.data import ImageSplit


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
    split = store.split(images.dataset, images.name)
    capture = NetworkCapture.open(network, images, split, layers=layers, settings=settings, device=device)
    with precision(settings.precision, device):
        # One image tells the shapes of all layers, which the store must know before it takes any values.
        example = capture.in_full(images.batch([0]).to(device))
        opened = store.begin_dump(
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
        # What is on disk already is not computed again: this is where an interrupted dump goes on.
        missing = opened.missing_row_groups(part=part[0], parts=part[1])
        reprobed = opened.sealed and _confirm(capture, store, opened)
        own_row_groups = part_of(len(split.row_groups), part=part[0], parts=part[1])
        written = _write(capture, opened, missing, of=len(own_row_groups), report=on_row_group)
    return DumpRecord(
        opened.fingerprint,
        tuple(layers),
        split.n_samples,
        len(split.row_groups),
        written,
        sealed=_seal(opened, divided=part[1] > 1),
        reprobed=reprobed,
    )


def _write(
    capture: NetworkCapture,
    opened: Dump,
    missing: Sequence[int],
    *,
    of: int,
    report: Callable[[int, int], None] | None,
) -> int:
    """Compute and write what is missing of `of` row groups; return how many this process wrote."""

    def report_done(done: int) -> None:
        if report is not None:
            report(done, of)

    if not missing:
        report_done(of)
        return 0
    # The network is only tried where something is to be written; a sealed dump costs no more than the image
    # above.
    capture.probe()
    settings = capture.settings
    done_before = of - len(missing)
    with WritingThread(opened, queue_bytes=settings.queue_bytes, writers=settings.writers) as queue:
        for row_group in missing:
            report_done(done_before + queue.committed)
            if opened.is_written(row_group):  # by another process, meanwhile
                done_before += 1
                continue
            for batch in capture.batches(row_group):
                queue.put(row_group, batch)
    report_done(of)
    return queue.committed


def _seal(opened: Dump, *, divided: bool) -> bool:
    """Seal a dump; of a divided one, only where all other parts are there."""
    try:
        opened.seal()
    except UnfinishedError:
        # Alone, an unfinished dump is a fault. Of a divided one, it means that other parts are still being
        # written.
        if not divided:
            raise
        return False
    return True


def _confirm(capture: NetworkCapture, store: Store, opened: Dump) -> bool:
    """Compare one row group with a sealed dump that was made under other versions or in another precision.

    Raises
    ------
    CaptureError
        The values differ by more than rounding.
    """
    address = Address(opened.split.dataset, opened.split.name, opened.identity.model, "")
    stored = {
        layer: store.representation(replace(address, layer=layer), fingerprint=opened.fingerprint)
        for layer in opened.requested
    }
    # Versions and precision that the store has seen before were compared then.
    if all(opened.provenance in representation.provenances for representation in stored.values()):
        return False
    row_group = len(opened.split.row_groups) - 1  # the smallest
    batches = [
        {name: as_array(values) for name, values in batch.items()} for batch in capture.batches(row_group)
    ]
    for name, representation in stored.items():
        computed = np.concatenate([batch[name] for batch in batches]).astype(representation.dtype, copy=False)
        if not same_but_for_rounding(representation.read(row_group), computed):
            raise CaptureError(
                where=representation.address.label(opened.fingerprint),
                expected="the values that were dumped under other versions or in another precision",
                found="others, by more than 1 % of the largest: "
                + _differences(representation.provenances[0], opened.provenance),
                remedy="Dump into another store, or evict this dump and make it again.",
            )
    return True


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return the entries that differ, as ``name: old → new``."""
    keys = sorted({*old, *new})
    return ", ".join(
        f"{key}: {old.get(key)} → {new.get(key)}" for key in keys if old.get(key) != new.get(key)
    )
