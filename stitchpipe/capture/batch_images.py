"""Images out of a batch, whatever a data loader gives: a tensor, a tuple that begins with one, or named fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor

from stitchpipe.capture.determinism import CaptureError

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        return _plain(batch)
    if isinstance(batch, Mapping):
        named = [batch[name] for name in FIELDS if isinstance(batch.get(name), Tensor)]
        spatial = [value for value in batch.values() if isinstance(value, Tensor) and value.ndim == 4]
        if named or len(spatial) == 1:
            return _plain(named[0] if named else spatial[0])
        found = f"a mapping with {', '.join(map(str, batch)) or 'nothing'}"
    elif isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        tensors = [part for part in batch if isinstance(part, Tensor)]
        if tensors:
            return _plain(tensors[0])
        # A loader that collates nothing by itself gives an image and its label, or fields, in a tuple.
        if len(batch) and isinstance(batch[0], Mapping):
            return images_of(batch[0])
        found = f"a {type(batch).__name__} of {', '.join(type(part).__name__ for part in batch) or 'nothing'}"
    else:
        found = f"a {type(batch).__name__}"
    raise _no_images(found)


def batches_of(loader: Any) -> Iterator[Any]:
    """Return an iterator over the batches of a loader; of one array, whose first axis is no batch's, none.

    Raises
    ------
    CaptureError
        It is one array, or nothing that can be walked.
    """
    if isinstance(loader, Tensor | np.ndarray) or not hasattr(loader, "__iter__"):
        kind = type(loader).__name__
        raise _no_images(f"one {kind}, which is no loader" if loader is not None else "None")
    return iter(loader)


def demand_alike(images: Tensor, first: Tensor, number: int) -> None:
    """Refuse the images of a batch that have another size or number format than those of the first batch."""
    if images.shape[1:] != first.shape[1:] or images.dtype != first.dtype:
        raise CaptureError(
            where=f"batch {number} of the loader",
            expected=f"images of shape {tuple(first.shape[1:])} and {first.dtype}, as in the first batch",
            found=f"{tuple(images.shape[1:])} and {images.dtype}",
            remedy="Bring all images to one size and number format before they are put into batches.",
        )


def _plain(images: Tensor) -> Tensor:
    """Return images whose values are there, one behind the other."""
    if images.is_meta or images.layout != torch.strided or images.ndim == 0:
        found = "no values (a meta tensor)" if images.is_meta else f"a tensor of the layout {images.layout}"
        raise _no_images(found if images.ndim else "a single number")
    return images


def _no_images(found: str) -> CaptureError:
    return CaptureError(
        where="loader",
        expected=f"batches of images: a tensor, a tuple that begins with one, or fields such as {FIELDS[0]!r}",
        found=found,
        remedy="Give the loader a collate function, or hand over a list of batches: `images.split(64)`.",
    )
