"""Products on torch tensors, on a CPU or a GPU, added to float64 sums in place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from stitchpipe.algebra.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from stitchpipe.algebra.backends.protocol import DeviceName

Float64: TypeAlias = npt.NDArray[np.float64]

DTYPES = {"float64": torch.float64, "float32": torch.float32}
LEAST_BLOCK = 128
"""Rows of the blocks that a symmetric product is cut into: narrower products are bound by memory."""
BLOCKS = 8
"""Blocks of a wide symmetric product: 1/8 more flops than half of the full product."""


class TorchBackend:
    """The functions of `stitchpipe.algebra.backends.numpy_backend` on torch tensors.

    Parameters
    ----------
    device
        Where rows and sums lie. Stored values travel to it in their own type and are widened there.
    """

    name = "torch"
    cached = 2**40

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @classmethod
    def on(cls, device: DeviceName) -> Self:
        """Return the backend on a device; ``auto`` is the GPU where there is one.

        Raises
        ------
        BackendError
            There is no GPU.
        """
        there = torch.cuda.is_available()
        if device == "cuda" and not there:
            raise BackendError(
                where="backend 'torch' on the device 'cuda'",
                expected="a CUDA device",
                found="none on this machine",
                remedy="Set run.device to 'auto' or 'cpu', or start the workers where there is a GPU.",
            )
        return cls(torch.device("cuda" if there and device != "cpu" else "cpu"))

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Let torch use one thread of the CPU for what is inside."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Return uninitialised rows of ``float64`` or ``float32``."""
        return torch.empty(shape, dtype=DTYPES[dtype], device=self.device)

    def zeros(self, shape: tuple[int, ...]) -> Tensor:
        """Return float64 sums of nothing."""
        return torch.zeros(shape, dtype=torch.float64, device=self.device)

    def load(self, stored: npt.NDArray[Any]) -> Tensor:
        """Return stored values as a tensor on the device, in the type and the memory layout they are stored in.

        To a GPU they go through pinned memory, while the host goes on.
        """
        # torch cannot mark memory as read-only, and warns.
        values = torch.from_numpy(stored if stored.flags.writeable else stored.copy(order="K"))
        if self.device.type == "cpu":
            return values
        return values.pin_memory().to(self.device, non_blocking=True)

    def fetch(self, values: Tensor) -> Float64:
        """Return sums as a NumPy array."""
        return np.asarray(values.cpu().numpy(), dtype=np.float64)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return rows of several operands, one behind the other along the first axis."""
        return torch.cat(list(parts))

    def fill(self, into: Tensor, values: Tensor, shift: Tensor) -> None:
        """Set ``into [p, n, …]`` to ``values − shift``, of ``[p]`` or ``[p, …]``, both converted to its dtype first."""
        into.copy_(values)
        by_position = shift.shape[1:] or [1] * (into.ndim - 2)
        into.sub_(shift.to(into.dtype).reshape(-1, 1, *by_position))

    def resize(self, rows: Tensor, maps: tuple[Float64, ...], into: Tensor) -> None:
        """Set ``into [p, n, …]`` to ``rows [p, n, …]``, their positions mapped.

        By ``[H', H]`` and ``[W', W]`` from ``(H, W)`` to ``(H', W')``, or by one dense ``[positions', positions]``.
        """
        factors = [torch.tensor(resize, dtype=rows.dtype, device=self.device) for resize in maps]
        with _full_float32():
            if len(factors) == 1:
                mapped = torch.matmul(rows.reshape(*rows.shape[:2], -1), factors[0].T)
            else:
                mapped = torch.matmul(torch.matmul(factors[0], rows), factors[1].T)
            into.copy_(mapped.reshape(into.shape))

    def sum_samples(self, rows: Tensor) -> Tensor:
        """Return ``rows [p, n, …]`` summed over samples in float64."""
        return rows.sum(dim=1, dtype=torch.float64)

    def mean_positions(self, rows: Tensor) -> Tensor:
        """Return ``rows [p, n, …]`` averaged over positions in float64, ``[p, n]``."""
        return rows.reshape(*rows.shape[:2], -1).mean(dim=2, dtype=torch.float64)

    def squared_norms(self, rows: Tensor) -> Tensor:
        """Return Σₚ rows² of ``rows [p, n]`` in float64, ``[n]``."""
        return rows.to(torch.float64).square().sum(dim=0)

    def add_product(self, total: Tensor, x: Tensor, y: Tensor) -> None:
        """Add ``x [p, K] · yᵀ [K, q]`` to ``total [p, q]``; float32 rows are multiplied in float32, without TF32.

        2·p·q·K flops. The sum itself never leaves float64.
        """
        if x.dtype == torch.float64:
            total.addmm_(x, y.T)
            return
        with _full_float32():
            total.add_(x @ y.T)

    def add_symmetric(self, total: Tensor, x: Tensor) -> None:
        """Add ``x [p, K] · xᵀ`` to the upper triangle of ``total [p, p]``, a block of its rows at a time.

        torch has no symmetric product: each block is multiplied from its diagonal on, p·(p + block)·K flops.
        What stands below the diagonal means nothing until `mirror`.
        """
        step = max(LEAST_BLOCK, -(-len(x) // BLOCKS))
        for start in range(0, len(x), step):
            self.add_product(total[start : start + step, start:], x[start : start + step], x[start:])

    def mirror(self, total: Tensor) -> None:
        """Copy the upper triangle of ``total [p, p]`` to the lower one."""
        total.triu_()
        total.add_(total.T.tril(-1))


@contextmanager
def _full_float32() -> Iterator[None]:
    """Multiply float32 in float32 inside: TF32 would keep three digits of seven. What was set comes back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
