"""What is kept of a value the moment a network makes it: the view, in the storage type, in memory of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from storage.checks import absmax

if TYPE_CHECKING:
    from torch import Tensor

    from stitchpipe.capture.settings import Settings


def kept(values: Tensor, *, settings: Settings) -> Tensor:
    """Return what a dump keeps of ``(n, …)``; beyond the range of the storage type it is infinite.

    torch casts to float16 fifteen times as fast as NumPy, and a cast here is the copy that has to be made anyway.
    """
    dtype = torch.float16 if settings.dtype == "float16" else torch.float32
    return settings.view.apply(values).to(dtype, copy=True)


def is_finite(values: Tensor) -> bool:
    """Return whether all values are finite; on the CPU at the speed of the memory."""
    if values.device.type == "cpu":
        return math.isfinite(absmax(np.asarray(values)))
    return bool(torch.isfinite(values).all())
