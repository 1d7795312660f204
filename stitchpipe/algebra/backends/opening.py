"""Array libraries by name: torch is imported where it was chosen, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.backends import numpy_backend

if TYPE_CHECKING:
    from stitchpipe.algebra.backends.protocol import Backend, BackendName, DeviceName


def open_backend(name: BackendName, device: DeviceName = "auto") -> Backend:
    """Return the array library of that name, on a device.

    Parameters
    ----------
    device
        Of torch; ``auto`` is the GPU where there is one. NumPy computes on the CPU.

    Raises
    ------
    BackendError
        A GPU was asked for, and there is none.
    """
    if name == "numpy":
        return numpy_backend
    # Importing torch takes seconds and hundreds of MiB: only workers that were asked to use it pay for it.
    from stitchpipe.algebra.backends.torch_backend import TorchBackend  # noqa: PLC0415

    return TorchBackend.on(device)
