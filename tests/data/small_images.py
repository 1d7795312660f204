"""Small images of noise, and a refusal that is one message."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from stitchpipe.data import DataError


def noise(count=6, size=(5, 4), channels=3, seed=0):
    """Return ``(n, H, W, C)`` uint8, `size` = (height, width)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *size, channels), dtype=np.uint8)


def encoded(image, kind="PNG"):
    """Return one image ``(H, W, C)`` as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze()).save(buffer, kind)
    return buffer.getvalue()


def everything(split):
    """Return all images of a split as ``(n, H, W, C)`` float32."""
    return split.batch(range(len(split))).permute(0, 2, 3, 1).numpy()


def refuse(text, function, *arguments, **options):
    with pytest.raises(DataError, match=text) as refused:
        function(*arguments, **options)
    error = refused.value
    assert all((error.where, error.expected, error.found, error.remedy))
    assert "\n" not in str(error)
    return error
