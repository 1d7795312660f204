"""The state of a training between two epochs, as bytes: a training that goes on from it ends in the same bits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from stitchpipe.safetensors_notes import notes_of

if TYPE_CHECKING:
    from torch import Tensor, nn

_PROGRESS = "progress"


class KeptState(Protocol):
    """Where the bytes of a state are kept while a training lasts: on a disk or in a bucket, as the caller has it."""

    def save(self, data: bytes) -> None:
        """Keep a state, whole or not at all; those before it are given up."""

    def load(self) -> bytes | None:
        """Return the newest state that is sound, or None."""


@dataclass(frozen=True)
class Learner:
    """What changes while a network learns: its weights, the optimiser, the schedule, and what chance is drawn from."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator

    def pack(self, epochs: list[dict[str, float]]) -> bytes:
        """Return the state behind these epochs as a safetensors file."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        packed = self.optimiser.state_dict()
        for number, values in packed["state"].items():
            tensors |= {
                f"optimiser.{number}.{name}": value for name, value in values.items() if value is not None
            }
        tensors |= {"rng": torch.random.get_rng_state(), "generator": self.generator.get_state()}
        # Python writes a float in as many digits as tell it from every other one, so these come back as they were.
        progress = {
            "epochs": epochs,
            "groups": packed["param_groups"],
            "schedule": self.schedule.state_dict(),
        }
        # Tied weights share their memory, which the file format refuses.
        held = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        return save(held, metadata={_PROGRESS: json.dumps(progress)})

    def unpack(self, data: bytes) -> list[dict[str, float]]:
        """Take up a state that `pack` gave; return the epochs behind it, none where the bytes are no such state."""
        try:
            tensors = load(data)
            progress = json.loads(notes_of(data)[_PROGRESS])
        except (SafetensorError, ValueError, KeyError):
            return []
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below(tensors, "optimiser.").items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
        self.network.load_state_dict(_below(tensors, "network."))
        self.optimiser.load_state_dict({"state": moments, "param_groups": progress["groups"]})
        self.schedule.load_state_dict(progress["schedule"])
        torch.random.set_rng_state(tensors["rng"])
        self.generator.set_state(tensors["generator"])
        return list(progress["epochs"])


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
