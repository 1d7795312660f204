"""Where activations come from: a network over the images of a split, in the order in which they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.capture.determinism import CaptureError, check_deterministic
from stitchpipe.capture.precision import precision
from stitchpipe.capture.stored_values import as_stored, is_finite
from stitchpipe.graph import extractor
from stitchpipe.models import weights_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch
    from torch import Tensor, nn

    from stitchpipe.capture.settings import Settings
    from stitchpipe.data import ImageSplit
    from storage import Split

CAPTURE_VERSION = 3
"""Raised when the same inputs would give other values."""


def identity(
    network: nn.Module, architecture: str, images: ImageSplit, *, settings: Settings
) -> Mapping[str, Any]:
    """Return what makes a dump's values what they are; its digest is the dump's fingerprint."""
    height, width = images.batch([0]).shape[2:]
    return {
        # Says how tokens lie on the image; of square ones it is known.
        **({} if height == width else {"image_size": [height, width]}),
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
class NetworkCapture:
    """A network over the images of a split, in storage order: what a dump writes from, stored or not.

    Attributes
    ----------
    in_full
        Images → the chosen layers and the logits as the network makes them.
    stored
        The same under the view and in the type in which they are stored.
    images, split
        The images, and the split of the store that says in which order and in which row groups they come.
    """

    in_full: Callable[[Tensor], Mapping[str, Tensor]]
    stored: Callable[[Tensor], Mapping[str, Tensor]]
    images: ImageSplit
    split: Split
    settings: Settings
    device: torch.device

    @classmethod
    def open(
        cls,
        network: nn.Module,
        images: ImageSplit,
        split: Split,
        *,
        layers: Sequence[str],
        settings: Settings,
        device: torch.device,
    ) -> NetworkCapture:
        """Return a capture of some layers and the logits; `network` is moved to `device` and left in eval mode.

        Raises
        ------
        CaptureError
            The split holds other images than `images`.
        stitchpipe.graph.LayerError, stitchpipe.graph.TraceError
            No such layer; the network cannot be traced.
        """
        _check_same_images(images, split)
        network = network.to(device).eval()
        return cls(
            in_full=extractor(network, layers),
            stored=extractor(network, layers, keep=partial(as_stored, settings=settings)),
            images=images,
            split=split,
            settings=settings,
            device=device,
        )

    def batches(self, row_group: int) -> Iterator[Mapping[str, Tensor]]:
        """Yield what is stored of a row group, batch by batch; see `values`."""
        for images in self.image_batches(row_group):
            yield self.values(images)

    def batch_bounds(self, row_group: int, rows: tuple[int, int] | None = None) -> list[tuple[int, int]]:
        """Return ``(start, stop)`` of the batches of a row group, as few as can be and of equal sizes.

        A remainder of a few images would cost as much as a batch. With `rows` only the batches that hold one of these
        stored rows: which images are in a batch does not depend on it.
        """
        start, stop = self.split.row_groups[row_group]
        first, last = rows or (start, stop)
        # The number of batches is rounded up, and the images are then spread evenly over them.
        n_batches = -(-(stop - start) // self.settings.batch_size)
        batches = np.array_split(np.arange(start, stop), n_batches)
        bounds = [(int(batch[0]), int(batch[-1]) + 1) for batch in batches]
        return [(start, stop) for start, stop in bounds if start < last and stop > first]

    def image_batches(self, row_group: int, rows: tuple[int, int] | None = None) -> Iterator[Tensor]:
        """Yield the images of the batches of a row group, see `batch_bounds`, on the device."""
        for start, stop in self.batch_bounds(row_group, rows):
            yield self.images.batch(self.split.original_index[start:stop].tolist()).to(self.device)

    def values(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return what is stored of a batch of images, in the storage type.

        A batch that holds what this type cannot hold is computed again and returned as it is: whoever checks it
        refuses it with the layer, the sample and the value.
        """
        stored = self.stored(images)
        if all(is_finite(values) for values in stored.values()):
            return stored
        # In the storage type an overflow has already become infinity. The values themselves say what it
        # was.
        return {name: self.settings.view.apply(values) for name, values in self.in_full(images).items()}

    def probe(self) -> None:
        """Check the network on the split's first images in storage order, two at least."""
        # Two images at least, so that it can be seen whether one depends on the other.
        positions = self.split.original_index[: max(self.settings.batch_size, 2)].tolist()
        with precision(self.settings.precision, self.device):
            check_deterministic(self.in_full, self.images.batch(positions).to(self.device))


def _check_same_images(images: ImageSplit, split: Split) -> None:
    """Refuse a split whose ids, put back into the data set's order, are not those of `images`."""
    # The store keeps samples in an order of its own, and where each stood before.
    stored = np.empty(split.n_samples, dtype=object)
    stored[split.original_index] = split.sample_ids
    if tuple(stored) == tuple(images.sample_ids):
        return
    pairs = zip(stored, images.sample_ids, strict=False)
    position = next((number for number, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
    expected, found = f"{split.n_samples} ids", f"{len(images)} ids"
    if position is not None:
        expected, found = f"'{stored[position]}'", f"'{images.sample_ids[position]}' at position {position}"
    raise CaptureError(
        where=f"data set '{images.dataset}', split '{images.name}'",
        expected=f"the samples that the store holds under this name ({expected})",
        found=found,
        remedy="Store changed data under another name.",
    )
