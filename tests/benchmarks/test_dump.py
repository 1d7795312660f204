"""A dump beside the bare forward pass over the same batches: time, bytes, and memory. `make gpu` has the GPU's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from stitchpipe.capture import dump, planned_peak_bytes
from storage import rows_of_shard
from tests.benchmarks.dumped_network import BATCH, BLOCKS, dump_settings, store_with_split
from tests.benchmarks.tables import best_seconds, sync_all

pytestmark = pytest.mark.benchmark

CODECS = ("lz4", "lz4-bitshuffle", "zstd", "none")


@pytest.mark.parametrize("threads", [1, 2])
def test_dump(subject, table, repeats, tmp_path, threads):
    """All nine blocks of a ResNet-20 as float16: wall time to that of the bare forward pass"""
    from stitchpipe.capture.precision import precision
    from storage import Encoding

    network, pixels = subject.network, subject.pixels
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    sizes = {}

    def forward():
        with torch.inference_mode(), precision():
            for batch in pixels.split(BATCH):
                logits = network(batch)
        return logits

    def dumped(codec):
        sync_all()
        root = tmp_path / f"{codec}-{len(list(tmp_path.iterdir()))}"
        store = store_with_split(root, subject.n_images)
        settings = dump_settings(encoding=Encoding(codec=codec))
        dump(
            network,
            subject.images,
            store,
            model="net",
            architecture="resnet20",
            layers=BLOCKS,
            settings=settings,
        )
        sizes[codec] = sum(
            found.n_bytes for found in store.representations() if found.address.layer != "logits"
        )

    try:
        seconds = best_seconds(
            {"forward": forward, **{codec: lambda codec=codec: dumped(codec) for codec in CODECS}},
            repeats=repeats,
        )
    finally:
        torch.set_num_threads(before)
    raw = 4 * subject.n_images * (3 * 16 * 32 * 32 + 3 * 32 * 16 * 16 + 3 * 64 * 8 * 8)
    for codec in CODECS:
        table.add(
            torch_threads=threads,
            codec=codec,
            time_to_forward=f"{seconds[codec] / seconds['forward']:.2f}",
            bytes_to_float32=f"{sizes[codec] / raw:.3f}",
        )


def test_memory(table, tmp_path):
    """Peak resident memory of a dump in a process of its own, above the network's own forward pass"""
    peaks = {}
    for n_images in (2000, 10_000):
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.dump_in_process",
            str(tmp_path / str(n_images)),
            str(n_images),
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peaks[n_images] = json.loads(output.splitlines()[-1])
    shapes = [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3 + [(10,)]
    planned = planned_peak_bytes(shapes, dump_settings())
    for n_images, found in peaks.items():
        table.add(
            images=n_images,
            rows_of_a_row_group=min(-(-n_images // 20), rows_of_shard(2 * 16 * 32 * 32)),
            peak_to_that_of_2000=f"{found['peak'] / peaks[2000]['peak']:.3f}",
            dump_MiB=f"{(found['peak'] - found['forward']) / 2**20:.0f}",
            planned_MiB=f"{planned / 2**20:.0f}",
        )
