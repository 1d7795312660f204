"""A dump of all blocks of a ResNet-20, compressed and not, and its values beside the CPU's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from stitchpipe.capture import dump
from storage import Address, Encoding, open_store
from tests.benchmarks.dumped_network import BLOCKS, Subject, dump_settings, store_with_split
from tests.benchmarks.gpu.device import CPU, Row, Work, flops_of, seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import torch

    from storage import Representation
    from tests.benchmarks.gpu.size import Size

Codec = Literal["none", "lz4"]

LAYERS = (*BLOCKS, "logits")
CODECS: tuple[Codec, ...] = ("none", "lz4")
WRITERS = 8
"""Threads beside a GPU; one beside the CPU's single thread."""
TOLERANCE = 2.0**-9
"""Of the largest value of a layer: two roundings to float16."""


def stored(subject: Subject, folder: Path, device: torch.device, size: Size, codec: Codec) -> None:
    """Dump all blocks into a store."""
    settings = dump_settings(
        batch_size=size.batch_size, encoding=Encoding(codec=codec), writers=1 if device == CPU else WRITERS
    )
    dump(
        subject.network,
        subject.images,
        store_with_split(folder, subject.n_images),
        model="net",
        architecture="resnet20",
        layers=BLOCKS,
        settings=settings,
        device=device,
    )
    subject.network.to(CPU)


def layers_of(folder: Path) -> Mapping[str, Representation]:
    """Return what was dumped, by layer."""
    store = open_store(folder)
    return {layer: store.representation(Address("benchmark", "test", "net", layer)) for layer in LAYERS}


def rows(device: torch.device, size: Size, folder: Path) -> Iterator[Row]:
    """Yield a row for each codec. The CPU's uncompressed dump stays in ``folder / "cpu-none"``."""
    few, many = (Subject(n_images=count) for count in size.images)
    image = few.pixels[:1]
    flops = flops_of(lambda: few.network(image))

    def seconds(subject: Subject, on: torch.device, codec: Codec, name: str) -> float:
        at = folder / f"{name}-{codec}"
        return seconds_of(lambda: stored(subject, at, on, size, codec), on, repeats=1)

    for codec in CODECS:
        cpu_s = seconds(few, CPU, codec, "cpu")
        seconds(few, device, codec, "few")  # warms up: libraries are loaded, kernels chosen
        device_s = seconds(many, device, codec, "many")
        expected, found = (layers_of(folder / f"{name}-{codec}") for name in ("cpu", "few"))
        bytes_out = sum(layer.dtype.itemsize * float(np.prod(layer.shape[1:])) for layer in expected.values())
        yield Row(
            f"dump, codec {codec}, {WRITERS} writers",
            "image",
            device_s / many.n_images,
            cpu_s / few.n_images,
            Work(flops, "float32", float(image.nbytes), bytes_out),
            max(_difference(expected[layer], found[layer]) for layer in LAYERS),
            TOLERANCE,
        )


def _difference(expected: Representation, found: Representation) -> float:
    """Return the largest difference to the largest value."""
    most = largest = 0.0
    for row_group in range(len(expected.row_groups)):
        values, others = (layer.read(row_group).astype(np.float64) for layer in (expected, found))
        most, largest = max(most, np.abs(values - others).max()), max(largest, np.abs(values).max())
    return most / largest
