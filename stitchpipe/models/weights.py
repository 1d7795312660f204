"""Weights on disk: safetensors first, torch files of tensors only, and a digest that tells networks apart."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from stitchpipe.errors import ExplainedError

WRAPPERS = ("state_dict", "model", "model_state_dict", "net")
"""Keys under which training scripts keep the weights in a larger dictionary."""


class WeightsError(ExplainedError, ValueError):
    """A checkpoint is missing, unreadable, unsafe, or of another architecture."""


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a checkpoint into `network`, all of it or nothing.

    Takes safetensors, or a torch file read with ``weights_only=True``: code in a pickle is never run. A nested
    ``state_dict`` and the ``module.`` prefix of data-parallel training are undone.

    Raises
    ------
    WeightsError
        The file is missing, unreadable or unsafe, or keys or shapes differ from the network's: all are counted,
        the first are named.
    """
    state = _unwrapped(_read(path))
    own = network.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    misfits = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if missing or unexpected or misfits:
        parts = [
            f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
            for what, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("of another shape", misfits),
            )
            if names
        ]
        raise WeightsError(
            where=str(path),
            expected=f"the {len(own)} tensors of {type(network).__name__} as declared",
            found="; ".join(parts),
            remedy="Declare the architecture and options that the checkpoint was made with.",
        )
    network.load_state_dict(state, strict=False)


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's tensors as safetensors; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    payload = save({key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()})
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def weights_digest(network: nn.Module) -> str:
    """Return SHA-256, in hex, over names, dtypes, shapes and bytes of all tensors, in order of their names."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{key}\0{values.dtype}\0{tuple(values.shape)}\0".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        found, remedy = "no such file", "Correct the path; relative ones start at the sweep file."
    except pickle.UnpicklingError:
        found = "a pickle that holds more than tensors"
        remedy = "Such a file can run code, so it is refused: save its state_dict as safetensors where you trust it."
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError) as error:
        found, remedy = f"{type(error).__name__}: {error}".splitlines()[0], "Is the file complete?"
    raise WeightsError(
        where=str(path),
        expected="a checkpoint (safetensors, or a torch file of tensors)",
        found=found,
        remedy=remedy,
    )


def _unwrapped(loaded: Any) -> dict[str, Tensor]:
    """Return the flat dictionary of tensors in what was loaded."""
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
            break
    if not isinstance(loaded, Mapping):
        return {}
    tensors = {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}
    if tensors and all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors
