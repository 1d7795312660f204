"""The precision of a forward pass: as declared, the same kernels every time, and undone afterwards."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch

from stitchpipe.capture.settings import Precision

if TYPE_CHECKING:
    from collections.abc import Iterator

_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@contextmanager
def precision(declared: Precision | None = None, device: torch.device | None = None) -> Iterator[None]:
    """Run what is inside in the declared precision; by default full float32.

    Without TF32 (which costs three of seven digits, and which cuDNN uses for convolutions unless told otherwise) and
    without autocast. Convolution kernels are chosen deterministically either way.
    """
    declared = Precision() if declared is None else declared
    before = torch.get_float32_matmul_precision()
    cudnn = torch.backends.cudnn
    # This setting is of the whole process and has no context manager of its own; it is put back by hand
    # below.
    torch.set_float32_matmul_precision("high" if declared.tf32 else "highest")
    try:
        with ExitStack() as settings:
            settings.enter_context(
                cudnn.flags(
                    enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=declared.tf32
                )
            )
            if declared.autocast != "none":
                kind = "cpu" if device is None else device.type
                settings.enter_context(torch.autocast(kind, dtype=_DTYPES[declared.autocast]))
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def full_float32(device: torch.device) -> AbstractContextManager[None]:
    """Return what keeps a GPU from rounding products and convolutions to TF32; on a CPU nothing is set or changed."""
    return precision(device=device) if device.type == "cuda" else nullcontext()
