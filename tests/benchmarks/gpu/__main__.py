"""Measure all steps that may run on a GPU: ``python -m tests.benchmarks.gpu [--device cpu] [--out FILE]``.

Every number is held against the CPU's, and is refused (exit 1) beyond a stated tolerance; times are only told. One
thread of the CPU is the measure of speed. Without a GPU it says so and ends well.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tests.benchmarks.gpu import detecting, dumping, products, stitches
from tests.benchmarks.gpu.device import Peaks, Row, described
from tests.benchmarks.gpu.size import SIZES
from tests.benchmarks.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    asked = _asked(arguments)
    if asked.device == "cuda" and not torch.cuda.is_available():
        print("No GPU here, so nothing was measured. Run `make gpu` where there is one.")
        return 0
    device = torch.device(asked.device)
    torch.set_num_threads(1)
    size = SIZES[asked.device]
    peaks = Peaks.of(device, side=size.matrix)
    table = Table(title="What a GPU is worth, step by step", about=f"{described(device)}; {_told(peaks)}")
    wrong = []
    with tempfile.TemporaryDirectory(prefix="stitchpipe-gpu-") as folder:
        for row in _rows(device, asked.device, Path(folder)):
            table.add(**_cells(row, peaks))
            print(f"{row.step}: {row.cpu_s / row.device_s:.3g} x", flush=True)
            wrong += [] if row.is_right else [row.step]
    text = table.text()
    print(text)
    if asked.out is not None:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n", "utf-8")
    for step in wrong:
        print(f"Not the CPU's numbers: {step}")
    return 1 if wrong else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gpu", description="Steps on a GPU beside the CPU.")
    parser.add_argument("--device", choices=sorted(SIZES), default="cuda", help="cpu: a tiny helping")
    parser.add_argument("--out", type=Path, help="file for the table, Markdown")
    return parser.parse_args(arguments)


def _rows(device: torch.device, name: str, folder: Path) -> Iterator[Row]:
    size = SIZES[name]
    yield from dumping.rows(device, size, folder)
    yield from products.rows(device, size)
    dumped = folder / "cpu-none"
    yield from stitches.rows(device, size, dumped)
    yield from detecting.rows(device, size, dumped)


def _cells(row: Row, peaks: Peaks) -> dict[str, str]:
    """Return a row as it is shown: how much faster than one thread, and how near to what the device could do."""
    least_s, spent_on = peaks.bound(row.work)
    return {
        "step": row.step,
        "a second": f"{1 / row.device_s:.3g} × {row.of_unit}",
        "to_one_CPU_thread": f"{row.cpu_s / row.device_s:.3g} ×",
        "flop/s": f"{row.work.flops / row.device_s:.2e}",
        "of_its_bound": f"{least_s / row.device_s:.1%} ({spent_on})",
        "difference": f"{row.difference:.1e}",
        "tolerance": f"{row.tolerance:.1e}" + ("" if row.is_right else " MISSED"),
    }


def _told(peaks: Peaks) -> str:
    flops = ", ".join(f"{name} {value:.2e}" for name, value in peaks.flops.items())
    return (
        f"large products, flop/s: {flops}; copies, bytes/s: {peaks.memory:.2e} within the device, "
        f"{peaks.bytes_in:.2e} to it, {peaks.bytes_out:.2e} from it"
    )


if __name__ == "__main__":
    raise SystemExit(main())
