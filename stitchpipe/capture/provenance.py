"""What a dump was made with. Shown when two runs differ; never part of an identity."""

from __future__ import annotations

import platform
from importlib.metadata import version

import torch


def provenance(device: torch.device, autocast: str = "none") -> dict[str, str]:
    """Return library versions, device and precision settings."""
    return {
        "stitchpipe": version("stitchpipe"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": version("torchvision"),
        "numpy": version("numpy"),
        "pillow": version("pillow"),
        "zarr": version("zarr"),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch_threads": str(torch.get_num_threads()),
        "tf32": str(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32),
        "autocast": autocast,
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }
