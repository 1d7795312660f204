"""The state of a training on disk, so that a killed one goes on where it was; bitwise the same on a CPU."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from stitchpipe.stitching.batches import BatchPosition
from stitchpipe.wholefile import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor


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

    def write(self, path: Path) -> None:
        """Write the state whole or not at all; an older one is replaced."""
        notes = {"losses": json.dumps(self.losses), "position": json.dumps(asdict(self.position))}
        write_whole(
            path, save({name: one.contiguous() for name, one in self.tensors.items()}, metadata=notes)
        )

    @classmethod
    def read(cls, path: Path | None) -> Checkpoint | None:
        """Return the state that was written last; None where there is none, or a damaged one."""
        if path is None or not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                notes: Mapping[str, Any] = file.metadata()
                return cls(
                    {name: file.get_tensor(name) for name in file.keys()},  # noqa: SIM118 - not a mapping
                    tuple(json.loads(notes["losses"])),
                    BatchPosition(**json.loads(notes["position"])),
                )
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None
