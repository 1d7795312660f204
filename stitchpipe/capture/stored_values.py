"""A layer's values as a dump stores them: under its view, in its storage type, in memory of their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from storage import absmax

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from stitchpipe.capture.settings import Settings


def as_stored(values: Tensor, *, settings: Settings) -> Tensor:
    """Return what a dump stores of ``(n, …)``; values beyond the range of the storage type become infinite.

    torch casts to float16 fifteen times as fast as NumPy, and a cast here is the copy that has to be made anyway.
    """
    dtype = torch.float16 if settings.dtype == "float16" else torch.float32
    return settings.view.apply(values).to(dtype, copy=True)


def is_finite(values: Tensor) -> bool:
    """Return whether all values are finite; on the CPU at the speed of the memory."""
    if values.device.type == "cpu":
        return math.isfinite(absmax(np.asarray(values)))
    return bool(torch.isfinite(values).all())


def as_array(values: Tensor) -> npt.NDArray[np.floating]:
    """Return a tensor as an array of this machine's memory; bfloat16, which NumPy does not know, as float32."""
    known = values.float() if values.dtype == torch.bfloat16 else values
    return known.cpu().numpy()
