"""One image as numbers: whatever a source hands over becomes ``(H, W, C)``, uint8 or float32."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from stitchpipe.data.images import DataError

Pixels: TypeAlias = npt.NDArray[Any]
"""``(H, W, C)``, uint8 from 0 to 255 or float32 as the network is to see it."""

GREY_MODES = {"1", "L", "LA", "La"}
DEEP_MODES = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
"""Pillow's modes of more than eight bits, which its conversions would cut off."""


def pixels_of(item: Any, where: str) -> Pixels:
    """Return an image as ``(H, W, C)``.

    Parameters
    ----------
    item
        A Pillow image (grey modes give one channel, all others three), a tensor ``(C, H, W)`` or ``(H, W)``, or
        an array ``(H, W, C)`` or ``(H, W)``; tensors and arrays uint8 or floating-point.
    where
        What an error names.

    Raises
    ------
    DataError
        Another type, another shape, or another number format.
    """
    if isinstance(item, Image.Image):
        return _from_pillow(item, where)
    if isinstance(item, Tensor):
        tensor = item.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    elif isinstance(item, np.ndarray):
        array = item
    else:
        raise _no_image(where, f"a {type(item).__name__}")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.size == 0:
        raise _no_image(where, f"shape {tuple(item.shape)}")
    check_number_format(array.dtype, where)
    return np.ascontiguousarray(array if array.dtype == np.uint8 else array.astype(np.float32))


def check_number_format(dtype: np.dtype[Any], where: str) -> None:
    """Refuse everything but uint8 and floats: the scale of other numbers is not known."""
    if dtype != np.uint8 and dtype.kind != "f":
        raise DataError(
            where=where,
            expected="uint8 (scaled by 1/255) or floats (taken as they are)",
            found=str(dtype),
            remedy="Convert the images, floats to the range that the network expects.",
        )


def with_channels(pixels: Pixels, channels: int | None, where: str) -> Pixels:
    """Return `pixels` as grey (1) or RGB (3); grey is Pillow's luma, and of uint8 alone."""
    if channels is None or pixels.shape[2] == channels:
        return pixels
    if pixels.shape[2] == 1:
        return np.repeat(pixels, channels, axis=2)
    if channels == 1 and pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
    raise DataError(
        where=where,
        expected=f"images that can be made {channels}-channel ones",
        found=f"{pixels.shape[2]} channels of {pixels.dtype}",
        remedy="Remove data.channels, or convert the images beforehand.",
    )


def resized(pixels: Pixels, size: int | None) -> Pixels:
    """Return `pixels` at `size` × `size`: Pillow's bilinear filter, antialiased, channel by channel."""
    if size is None or pixels.shape[:2] == (size, size):
        return pixels
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(pixels, 2, 0)]
    return np.stack(
        [np.asarray(plane.resize((size, size), Image.Resampling.BILINEAR)) for plane in planes], axis=2
    )


def _from_pillow(image: Image.Image, where: str) -> Pixels:
    if image.mode in DEEP_MODES:
        raise DataError(
            where=where,
            expected="an image of eight bits per channel",
            found=f"Pillow mode '{image.mode}'",
            remedy="Convert the images, or give them as arrays of floats.",
        )
    if image.mode in GREY_MODES:
        return np.asarray(image.convert("L"))[:, :, None]
    return np.asarray(image.convert("RGB"))


def _no_image(where: str, found: str) -> DataError:
    return DataError(
        where=where,
        expected="one image: (H, W), (H, W, C) as an array or (C, H, W) as a tensor, or a Pillow image",
        found=found,
        remedy="Only data sets of still images can be read.",
    )
