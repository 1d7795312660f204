"""Images out of a batch, whatever a data loader gives: a tensor, a tuple that begins with one, or named fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from torch import Tensor

from stitchpipe.capture.determinism import CaptureError

FIELDS: Final = ("pixel_values", "image", "images", "img", "x", "input", "inputs")
"""Under which names batches of named fields hold images; the first that is there counts."""


def images_of(batch: Any) -> Tensor:
    """Return the images of a batch, ``(n, C, H, W)`` or whatever the network takes.

    A tensor is taken as it is, of a tuple or list its first tensor. Of named fields (a mapping, as data sets of Hugging
    Face give) the first of `FIELDS`, or the only one that has four axes.

    Raises
    ------
    CaptureError
        There are no images in it, or no telling which field holds them.
    """
    if isinstance(batch, Tensor):
        return batch
    if isinstance(batch, Mapping):
        named = [batch[name] for name in FIELDS if isinstance(batch.get(name), Tensor)]
        spatial = [value for value in batch.values() if isinstance(value, Tensor) and value.ndim == 4]
        if named or len(spatial) == 1:
            return named[0] if named else spatial[0]
        found = f"a mapping with {', '.join(map(str, batch)) or 'nothing'}"
    elif isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        tensors = [part for part in batch if isinstance(part, Tensor)]
        if tensors:
            return tensors[0]
        # A loader that collates nothing by itself gives an image and its label, or fields, in a tuple.
        if len(batch) and isinstance(batch[0], Mapping):
            return images_of(batch[0])
        found = f"a {type(batch).__name__} of {', '.join(type(part).__name__ for part in batch) or 'nothing'}"
    else:
        found = f"a {type(batch).__name__}"
    raise CaptureError(
        where="loader",
        expected=f"batches of images: a tensor, a tuple that begins with one, or fields such as {FIELDS[0]!r}",
        found=found,
        remedy="Give the loader a collate function, or hand over the images alone.",
    )
