"""The state of a training on disk, so that a killed one goes on where it was; bitwise the same on a CPU."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load, save

from stitchpipe.safetensors_notes import notes_of
from stitchpipe.stitching.batches import BatchPosition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from stitchpipe.models import KeptState


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
            notes = notes_of(data)
            return cls(
                load(data),
                tuple(json.loads(notes["losses"])),
                BatchPosition(**json.loads(notes["position"])),
            )
        except (SafetensorError, KeyError, TypeError, ValueError):
            return None
