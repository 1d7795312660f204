"""The device that is measured: its clock, what it reaches in plain products and copies, and rows held against that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from collections.abc import Callable

CPU = torch.device("cpu")
REPEATS = 3
COPIED_BYTES = 2**28

Precision = Literal["float64", "float32", "tf32"]


@dataclass(frozen=True)
class Work:
    """What a step asks of a device at the least.

    Attributes
    ----------
    flops, precision
        Of products and convolutions.
    bytes_in, bytes_out
        From and to the memory of the host.
    """

    flops: float
    precision: Precision
    bytes_in: float = 0.0
    bytes_out: float = 0.0


@dataclass(frozen=True)
class Row:
    """One step on the device beside the same on one thread of the CPU.

    Attributes
    ----------
    of_unit
        What seconds are told of: an image, a step of a training.
    device_s, cpu_s
        For one of them.
    work
        Of one of them.
    difference, tolerance
        From the CPU's numbers, as a share of the largest of them or of each, as the row says.
    """

    step: str
    of_unit: str
    device_s: float
    cpu_s: float
    work: Work
    difference: float
    tolerance: float

    @property
    def is_right(self) -> bool:
        """Return whether the device gives the CPU's numbers; not where either has numbers that are none."""
        return self.difference <= self.tolerance


@dataclass(frozen=True)
class Peaks:
    """What the device reaches when it does nothing else.

    Attributes
    ----------
    flops
        Of a large product of square matrices, by precision, a second.
    memory
        Bytes a second read and written by a copy within the device.
    bytes_in, bytes_out
        Bytes a second from and to pinned memory of the host.
    """

    flops: dict[Precision, float]
    memory: float
    bytes_in: float
    bytes_out: float

    @classmethod
    def of(cls, device: torch.device, *, side: int) -> Peaks:
        """Measure them: the best of a few trials each."""
        on_device = torch.empty(COPIED_BYTES, dtype=torch.uint8, device=device)
        other = torch.empty_like(on_device)
        on_host = torch.empty(COPIED_BYTES, dtype=torch.uint8, pin_memory=device.type == "cuda")

        def bytes_a_second(act: Callable[[], object]) -> float:
            return COPIED_BYTES / seconds_of(act, device)

        return cls(
            {
                precision: _product_flops(device, side, precision)
                for precision in ("float64", "float32", "tf32")
            },
            2 * bytes_a_second(lambda: other.copy_(on_device)),
            bytes_a_second(lambda: on_device.copy_(on_host)),
            bytes_a_second(lambda: on_host.copy_(on_device)),
        )

    def bound(self, work: Work) -> tuple[float, str]:
        """Return the least seconds that the device could take, and what they are spent on."""
        return max(
            (work.flops / self.flops[work.precision], f"products in {work.precision}"),
            (work.bytes_in / self.bytes_in, "copies to the device"),
            (work.bytes_out / self.bytes_out, "copies to the host"),
        )


def seconds_of(act: Callable[[], object], device: torch.device, *, repeats: int = REPEATS) -> float:
    """Return the wall seconds of the fastest of some trials, to the end of what the device was given."""
    found = []
    for _ in range(repeats):
        _wait(device)
        begun = time.perf_counter()
        act()
        _wait(device)
        found.append(time.perf_counter() - begun)
    return min(found)


def flops_of(act: Callable[[], object]) -> float:
    """Return the flops of torch's products and convolutions, forwards and backwards."""
    with FlopCounterMode(display=False) as counter:
        act()
    return float(counter.get_total_flops())


def described(device: torch.device) -> str:
    """Return what was measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU: the CPU in its place"
    return f"{name}, torch {torch.__version__}; CPU: one thread of {torch.backends.cpu.get_cpu_capability()}"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _product_flops(device: torch.device, side: int, precision: Precision) -> float:
    dtype = torch.float64 if precision == "float64" else torch.float32
    x = torch.randn((side, side), dtype=dtype, device=device)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        return 2.0 * side**3 / seconds_of(lambda: x @ x, device)
    finally:
        torch.set_float32_matmul_precision(before)
