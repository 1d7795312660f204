"""How a dump is made: what is stored of a layer, in which precision, and how much may wait to be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.capture.views import StoredView
from storage import Encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

Autocast: TypeAlias = Literal["none", "float16", "bfloat16"]

FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True)
class Precision:
    """Of forward passes; recorded as provenance.

    Parameters
    ----------
    autocast
        Let torch run convolutions and products in this type; "none" keeps the weights' own.
    tf32
        Let a GPU round the factors of float32 products to 10 bits of mantissa: relative errors of 3e-4.
    """

    autocast: Autocast = "none"
    tf32: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What a dump is made with.

    Parameters
    ----------
    dtype
        How values are stored, ``float32`` or ``float16``.
    batch_size
        Images per forward pass; part of the identity, because batch composition changes the last bits.
    view
        What is kept of each layer; by default all of it.
    precision
        Of the forward pass.
    encoding
        Codec and chunk size of the store.
    queue_bytes
        What may wait to be written, at least one batch: the forward pass stands still beyond it.
    writers
        Threads that compress and write, several layers at a time.
    """

    dtype: str = "float32"
    batch_size: int = 64
    view: StoredView = field(default_factory=StoredView)
    precision: Precision = field(default_factory=Precision)
    encoding: Encoding = field(default_factory=Encoding)
    queue_bytes: int = 1 << 27
    writers: int = 1


def planned_peak_bytes(shapes: Sequence[tuple[int, ...]], settings: Settings) -> int:
    """Return the most that a dump of layers of these shapes holds, beside the network and its forward pass.

    One batch of all layers in the extractor, what waits in the queue, one batch being written in both types, and one
    inner chunk per layer, compressed and not. Independent of the number of images.
    """
    batch = settings.batch_size * FLOAT32_BYTES * sum(prod(shape) for shape in shapes)
    chunks = 2 * settings.encoding.chunk_bytes * len(shapes)
    return batch + max(settings.queue_bytes, batch) + 2 * batch + chunks
