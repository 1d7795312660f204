"""Moments of all pairs of some layers, formed by torch on the device, beside NumPy's in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from stitchpipe.algebra.backends import numpy_backend, open_backend
from stitchpipe.algebra.backends.torch_backend import TorchBackend
from stitchpipe.engine import LayerShape, Pairs, SplitShape
from stitchpipe.engine.moments.accumulate import PassSums
from stitchpipe.engine.moments.shift import SHIFT_SAMPLES, Shift
from stitchpipe.engine.planning.cost import flops_of_view
from stitchpipe.engine.planning.plan import make_plan
from tests.benchmarks.gpu.device import Row, Work, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from stitchpipe.algebra.backends import Backend
    from stitchpipe.engine.planning.plan import Plan
    from tests.benchmarks.gpu.device import Precision
    from tests.benchmarks.gpu.size import Size

    Blocks = Sequence[np.ndarray]
    Planned = Literal["float64", "float32"]

TOLERANCES: dict[Precision, float] = {"float64": 1e-12, "float32": 1e-5, "tf32": 2e-3}
"""Of the largest of each array of moments; TF32 keeps ten bits of each factor."""
MEMORY_BYTES = 2**34


class RoundedFactors(TorchBackend):
    """Lets a GPU round the factors of float32 products to TF32, which no sweep can ask for."""

    def add_product(self, total: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add ``x [p, K] · yᵀ [K, q]`` to ``total [p, q]``."""
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            total.add_(x @ y.T)
        finally:
            torch.set_float32_matmul_precision(before)


def rows(device: torch.device, size: Size) -> Iterator[Row]:
    """Yield a row for each precision of the products."""
    few, many = size.products
    blocks = _blocks(size, few)
    shifts = {number: Shift.of(block[:SHIFT_SAMPLES], flattened=False) for number, block in enumerate(blocks)}

    def formed(precision: Planned, backend: Backend, samples: int) -> tuple[float, Mapping[str, np.ndarray]]:
        found: dict[str, np.ndarray] = {}
        plan = _plan(size, many, precision)
        seconds = seconds_of(
            lambda: found.update(_formed(plan, blocks, shifts, backend, samples)), device, repeats=1
        )
        return seconds, found

    formed("float64", numpy_backend, few)  # libraries are loaded
    cpu_s, expected = formed("float64", numpy_backend, few)
    # Means are about a shift, and right to the digits of what it was taken from.
    least = max(float(np.abs(shift.channels).max()) for shift in shifts.values())
    for precision, tolerance in TOLERANCES.items():
        of_plan: Planned = "float64" if precision == "float64" else "float32"
        backend = RoundedFactors(device) if precision == "tf32" else open_backend("torch", _name(device))
        _, found = formed(of_plan, backend, few)
        device_s, _ = formed(of_plan, backend, many)
        plan = _plan(size, many, of_plan)
        yield Row(
            f"products in {precision}, to NumPy's in float64",
            "image",
            device_s / many,
            cpu_s / few,
            Work(
                float(flops_of_view(plan.layers, plan.passes, "positions")),
                precision,
                float(sum(block[0].nbytes for block in blocks)),
            ),
            max(
                float(np.abs(values - found[name]).max() / max(least, np.abs(values).max()))
                for name, values in expected.items()
            ),
            tolerance,
        )


def _blocks(size: Size, samples: int) -> Blocks:
    """Return layers as they are stored, ``(samples, *shape)`` float16."""
    rng = np.random.default_rng(0)
    return [
        np.maximum(rng.standard_normal((samples, *size.layer_shape), dtype=np.float32), 0).astype(np.float16)
        for _ in range(size.layers)
    ]


def _plan(size: Size, samples: int, precision: Planned) -> Plan:
    layers = [LayerShape("m", str(number), ("f",), size.layer_shape, 2) for number in range(size.layers)]
    return make_plan(
        layers,
        {"positions": Pairs.every(size.layers)},
        splits=[SplitShape("data", "test", ((0, samples),))],
        memory_limit_bytes=MEMORY_BYTES,
        precision=precision,
        backend="torch",
    )


def _formed(
    plan: Plan, blocks: Blocks, shifts: Mapping[int, Shift], backend: Backend, samples: int
) -> Mapping[str, np.ndarray]:
    """Return the moments of so many samples: the same few again and again, as often as it takes."""
    sums, held, done = PassSums(plan, 0, shifts, backend), len(blocks[0]), 0
    with backend.one_thread():
        while done < samples:
            start = done % held
            count = min(plan.blocks.samples, held - start, samples - done)
            at = slice(start, start + count)
            sums.add(count, ((number, block[at]) for number, block in enumerate(blocks)))
            done += count
        return sums.state().arrays


def _name(device: torch.device) -> Any:
    return device.type
