"""One image as numbers: whatever a source hands over becomes ``(H, W, C)``, uint8, uint16 or float32."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from stitchpipe.data.images import DataError

Pixels: TypeAlias = npt.NDArray[Any]
"""``(H, W, C)``, uint8 from 0 to 255, uint16 from 0 to 65535, or float32 as the network is to see it."""

SCALES: Final = {"uint8": "1/255", "uint16": "1/65535", "float32": "none"}
"""Type of pixels → what they are multiplied by, as the record of preprocessing names it."""

GREY_MODES = {"1", "L", "LA", "La"}
DEEP_MODES: Final = {
    "I;16": "uint16", "I;16L": "uint16", "I;16B": "uint16", "I;16N": "uint16", "I": "uint16", "F": "float32",
}  # fmt: skip
"""Pillow's modes of more than eight bits, which its conversions would cut off at 255 → the type of their pixels.

``I`` can hold 32 bits, but Pillow also uses it for files of 16 bits (PGM), scaled to their full range.
"""
DEEPEST: Final = 65535


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
        return deep_pixels(item, where) if item.mode in DEEP_MODES else _of_eight_bits(item)
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


def rgb_of(image: Image.Image, where: str) -> Pixels:
    """Return a Pillow image as ``(H, W, 3)``; grey gives three equal channels.

    Raises
    ------
    DataError
        As `deep_pixels`.
    """
    if image.mode in DEEP_MODES:
        return np.repeat(deep_pixels(image, where), 3, axis=2)
    return np.asarray(image.convert("RGB"))


def deep_pixels(image: Image.Image, where: str) -> Pixels:
    """Return a grey Pillow image of more than eight bits as ``(H, W, 1)``, uint16 or float32.

    Raises
    ------
    DataError
        Whole numbers that do not fit 16 bits: nothing tells what scale they are on.
    """
    numbers = np.asarray(image)[:, :, None]
    if image.mode == "I" and not (int(numbers.min()) >= 0 and int(numbers.max()) <= DEEPEST):
        raise DataError(
            where=where,
            expected=f"whole numbers of 16 bits, from 0 to {DEEPEST}",
            found=f"numbers from {numbers.min()} to {numbers.max()}",
            remedy="Convert the images to 16 bits, or give them as arrays of floats.",
        )
    return numbers.astype(DEEP_MODES[image.mode])


def scale_of_mode(mode: str) -> str:
    """Return what the numbers of Pillow's mode are multiplied by, one of `SCALES`."""
    return SCALES[DEEP_MODES.get(mode, "uint8")]


def scaled(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return pixels of any number of axes as float32: whole numbers from 0 to 1, floats as they are."""
    if pixels.dtype == np.uint16:
        return pixels.astype(np.float32) / np.float32(DEEPEST)
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels


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
    deep = pixels.dtype == np.uint16  # Pillow filters such planes as floats
    planes = np.moveaxis(pixels.astype(np.float32) if deep else pixels, 2, 0)
    images = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    filtered = np.stack(
        [np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)) for image in images], axis=2
    )
    return np.rint(filtered).astype(np.uint16) if deep else filtered


def _of_eight_bits(image: Image.Image) -> Pixels:
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
