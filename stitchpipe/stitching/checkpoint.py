"""The state of a training on disk, so that a killed one goes on where it was; bitwise the same on a CPU."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from safetensors import SafetensorError
from safetensors.torch import load, save

from stitchpipe.stitching.batches import BatchPosition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class KeptState(Protocol):
    """Where the bytes of a state are kept while a training lasts: on a disk or in a bucket, as the caller has it."""

    def save(self, data: bytes) -> None:
        """Keep a state, whole or not at all; those before it are given up."""

    def load(self) -> bytes | None:
        """Return the newest state that is sound, or None."""


@dataclass(frozen=True, eq=False, slots=True)
class Checkpoint:
    """Everything that the rest of a training depends on.

    Attributes
    ----------
    tensors
        Weights and both of Adam's moments, by name.
    losses
        Of the steps that were made.
    position
        Of the next batch.
    """

    tensors: Mapping[str, Tensor]
    losses: tuple[float, ...]
    position: BatchPosition

    def save(self, kept: KeptState) -> None:
        """Keep the state; an older one is given up."""
        notes = {"losses": json.dumps(self.losses), "position": json.dumps(asdict(self.position))}
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        kept.save(save(tensors, metadata=notes))

    @classmethod
    def restored(cls, kept: KeptState | None) -> Checkpoint | None:
        """Return the state that was kept last; None where there is none, or none that can be used."""
        data = None if kept is None else kept.load()
        if data is None:
            return None
        try:
            length = int.from_bytes(data[:8], "little")  # of the header, which is JSON
            notes: Mapping[str, Any] = json.loads(data[8 : 8 + length])["__metadata__"]
            return cls(
                load(data),
                tuple(json.loads(notes["losses"])),
                BatchPosition(**json.loads(notes["position"])),
            )
        except (SafetensorError, KeyError, TypeError, ValueError):
            return None
