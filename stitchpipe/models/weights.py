"""Weights on disk: safetensors first, torch files of tensors only, and a digest that tells networks apart."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor, nn

from stitchpipe.errors import named_line
from stitchpipe.models.errors import OtherWeightsError, WeightsError
from storage import NotFoundError, open_place

WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "network", "weights", "params",
    "model_ema", "ema_state_dict", "state_dict_ema", "ema",
)  # fmt: skip
"""Keys under which training scripts keep the weights in a larger dictionary; running averages come last."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "ema.")
"""What data-parallel training, compilation and training frameworks put in front of every key."""


def load_weights(network: nn.Module, path: Path | str, *, expected: str | None = None) -> None:
    """Load a checkpoint into `network`, all of it or nothing; from a file, or from a URL of an object in a bucket.

    Takes safetensors, or a torch file read with ``weights_only=True``: code in a pickle is never run. A nested
    ``state_dict`` is found, the weights themselves before running averages of them (``ema``). Prefixes that stand
    before all keys are undone as far as the network's own keys do not have them: those of data-parallel training and
    compilation (``module.``, ``_orig_mod.``) and of training frameworks (``model.``, ``backbone.``, …). Counters of
    batches that batch normalisation keeps (``num_batches_tracked``) may be missing.

    Parameters
    ----------
    expected
        The digest (`weights_digest`) that was recorded of the network when these weights were loaded or trained before.
        The formats themselves have no checksum: a flipped bit is another number, and nothing else would find it.

    Raises
    ------
    WeightsError
        The file is missing, unreadable or unsafe, or keys or shapes differ from the network's: all are counted,
        the first are named.
    OtherWeightsError
        The digest is not the expected one.

    Notes
    -----
    Holding weights against a digest takes a copy of the own ones, and SHA-256 over all (about a second for 1 GB).
    """
    loaded = _fetched(path) if isinstance(path, str) else _read(path, path.suffix)
    _fill(network, loaded, where=str(path), expected=expected)


def checkpoint_is_there(path: Path | str) -> bool:
    """Whether there is a file, or an object in a bucket: one request. Errors as `storage.Place.size`."""
    if not isinstance(path, str):
        return path.is_file()
    folder, _, name = path.rpartition("/")
    return open_place(folder).size(name) is not None


def load_weights_bytes(network: nn.Module, data: bytes, *, where: str) -> None:
    """Load what `weights_bytes` gave into `network`; `where` names it in messages. Errors as `load_weights`."""
    try:
        tensors = load(data)
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            where=where,
            expected="weights as safetensors",
            found=named_line(error),
            remedy="Train them again.",
        ) from None
    _fill(network, tensors, where=where)


def _fill(network: nn.Module, loaded: Any, *, where: str, expected: str | None = None) -> None:
    """Give a network the tensors in what was loaded, all of them or none; of the expected digest, if any."""
    own = network.state_dict()
    state = _unprefixed(_unwrapped(loaded), own)
    # Counters of batches are left out by some exporters, and nothing in eval mode reads them.
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
            where=where,
            expected=f"the {len(own)} tensors of {type(network).__name__} as declared",
            found="; ".join(parts),
            remedy="Declare the architecture and options that the checkpoint was made with.",
        )
    # The digest can only be taken of the network itself, after loading. What it held before is put back
    # where it is not the expected one.
    before = None if expected is None else {key: tensor.clone() for key, tensor in own.items()}
    # All but those counters was compared above, so that torch need not be strict about it.
    network.load_state_dict(state, strict=False)
    if expected is not None and before is not None:
        try:
            demand_weights(network, expected, where)
        except OtherWeightsError:
            network.load_state_dict(before)
            raise


def demand_weights(network: nn.Module, expected: str, where: str) -> None:
    """Refuse a network whose weights are not those that were recorded: published ones, trained ones, any.

    Parameters
    ----------
    expected
        The recorded digest, see `weights_digest`.
    where
        What the error names: a file, or a model and where its weights come from.

    Raises
    ------
    OtherWeightsError
        Both digests are named.
    """
    found = weights_digest(network)
    if found != expected:
        raise OtherWeightsError(where, recorded=expected, read=found)


def weights_bytes(network: nn.Module) -> bytes:
    """Return a network's tensors as safetensors; tensors that share memory are written once each."""
    tensors = {
        key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, tensor in network.state_dict().items()
    }
    return save(tensors)


def weights_digest(network: nn.Module) -> str:
    """Return SHA-256, in hex, over names, dtypes, shapes and bytes of all tensors, in order of their names."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        # The layout in memory must not matter: equal tensors have equal bytes only once they are
        # contiguous.
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{key}\0{values.dtype}\0{tuple(values.shape)}\0".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _fetched(url: str) -> Any:
    """Return what an object of a bucket holds; all its bytes pass through memory."""
    folder, _, name = url.rpartition("/")
    try:
        data = open_place(folder).read(name)
    except NotFoundError as error:
        raise WeightsError(
            where=url,
            expected="a checkpoint (safetensors, or a torch file of tensors)",
            found="no such object",
            remedy="Correct the URL, or put the checkpoint there.",
        ) from error
    return _read(data, Path(name).suffix, where=url)


def _read(source: Path | bytes, suffix: str, *, where: str = "") -> Any:
    try:
        if suffix == ".safetensors":
            return load_file(source) if isinstance(source, Path) else load(source)
        if suffix != ".pt2":
            file = source if isinstance(source, Path) else io.BytesIO(source)
            return torch.load(file, map_location="cpu", weights_only=True)
        found, remedy = "a compiled program", "Save the state_dict of the network as safetensors."
    except FileNotFoundError:
        found, remedy = "no such file", "Correct the path; relative ones start at the sweep file."
    except pickle.UnpicklingError as error:
        found, remedy = _refused(str(error))
    except Exception as error:  # noqa: BLE001 - a damaged file makes its parser raise anything
        found, remedy = named_line(error), "Is the file complete?"
    raise WeightsError(
        where=where or str(source),
        expected="a checkpoint (safetensors, or a torch file of tensors)",
        found=found,
        remedy=remedy,
    )


def _refused(reason: str) -> tuple[str, str]:
    """Return what was found and what to do about a pickle that torch would not read."""
    if "Unsupported" in reason:
        return (
            "a pickle that holds more than tensors",
            "Such a file can run code, so it is refused: save its state_dict as safetensors where you trust it.",
        )
    return "a file that is no checkpoint, or a damaged one", "Is the file complete?"


def _unwrapped(loaded: Any) -> dict[str, Tensor]:
    """Return the flat dictionary of tensors in what was loaded."""
    if not isinstance(loaded, Mapping):
        return {}
    # Checkpoints nest, so what is found is unwrapped again until no known key is left.
    inner = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
    if inner is not None:
        return _unwrapped(inner)
    return {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}


def _unprefixed(tensors: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off prefixes that all keys have, as long as no more of the network's own keys are there with them."""
    # Prefixes are nested (`module._orig_mod.`): they are taken off one by one, until a key is the network's own.
    while tensors:
        prefix = next((known for known in PREFIXES if all(key.startswith(known) for key in tensors)), None)
        if prefix is None or any(key in own for key in tensors):
            break
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return tensors
