"""How much is done on the device, and how little of it on one thread of the CPU, which says what is right."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Work of all measurements.

    Attributes
    ----------
    images
        That a network is dumped of: on the CPU, and on the device.
    batch_size
        Of dumps and trainings.
    layers, layer_shape
        Whose products are formed.
    products
        Images whose products are formed: on the CPU, and on the device.
    steps
        Of each training of a stitch: on the CPU, and on the device.
    at_once
        How many stitches share a call, each in turn; the most of them are trained.
    detector
        Native samples, then epochs: on the CPU, and on the device.
    matrix
        Side of the matrices that tell the peak.
    """

    images: tuple[int, int]
    batch_size: int
    layers: int
    layer_shape: tuple[int, int, int]
    products: tuple[int, int]
    steps: tuple[int, int]
    at_once: tuple[int, ...]
    detector: tuple[int, int, int]
    matrix: int


SIZES = {
    "cuda": Size(
        images=(2_000, 20_000),
        batch_size=256,
        layers=12,
        layer_shape=(512, 14, 14),
        products=(48, 4_096),
        steps=(6, 40),
        at_once=(1, 9, 54),
        detector=(1_000, 1, 20),
        matrix=8_192,
    ),
    "cpu": Size(
        images=(40, 40),
        batch_size=20,
        layers=3,
        layer_shape=(8, 4, 4),
        products=(24, 24),
        steps=(2, 2),
        at_once=(1, 2, 3),
        detector=(40, 1, 1),
        matrix=256,
    ),
}
"""The tiny helping is for a machine without a GPU: the same code, so that it is tried before there is one."""
