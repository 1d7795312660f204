"""Weights on disk: safetensors first, torch files of tensors only, and a digest that tells networks apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from stitchpipe.errors import named_line
from stitchpipe.models.checkpoint_files import read_checkpoint
from stitchpipe.models.errors import OtherWeightsError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

WRAPPERS = (
    "state_dict", "model_state_dict", "model", "net", "network", "weights", "params",
    "model_ema", "ema_state_dict", "state_dict_ema", "ema",
)  # fmt: skip
"""Keys under which training scripts keep the weights in a larger dictionary; running averages come last."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "ema.")
"""What data-parallel training, compilation and training frameworks put in front of every key."""


def load_weights(network: nn.Module, path: Path | str, *, expected: str | None = None) -> None:
    """Load a checkpoint into `network`, all of it or nothing; from a file, or from a URL of an object in a bucket.

    Takes safetensors, the index of sharded ones, or a torch file read with ``weights_only=True``: code in a pickle is
    never run (`stitchpipe.models.checkpoint_files`). A nested
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
        the first are named. Or tensors hold what the network's cannot: complex numbers, whole numbers that are no
        floats of theirs, numbers beyond their range, no values at all.
    OtherWeightsError
        The digest is not the expected one.

    Notes
    -----
    Holding weights against a digest takes a copy of the own ones, and SHA-256 over all (about a second for 1 GB).
    """
    _fill(network, read_checkpoint(path), where=str(path), expected=expected)


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
    state = {key: _cast(tensor, own[key], key, where) for key, tensor in state.items()}
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


def _cast(tensor: Tensor, own: Tensor, key: str, where: str) -> Tensor:
    """Return a tensor in the format of the network's own, if that changes no number but by rounding of floats."""
    tensor = tensor.detach()
    if tensor.is_meta:
        raise _unfit(
            where, key, "no values: it is on the device 'meta'", "Save the network once it has weights."
        )
    if tensor.is_quantized:
        raise _unfit(
            where, key, f"quantised values ({tensor.dtype})", "Save the network before it is quantised."
        )
    values = tensor.to_dense() if tensor.layout != torch.strided else tensor
    if values.dtype == own.dtype or own.is_meta:
        return values
    cast = values.to(own.dtype) if own.is_complex() or not values.is_complex() else None
    if cast is None:
        raise _unfit(where, key, "complex numbers", "Save the numbers that the network computes with.")
    if values.is_floating_point() and own.is_floating_point():
        fits = bool((cast.isfinite() == values.isfinite()).all())
    else:  # from or to whole numbers: exactly or not at all
        fits = torch.equal(cast.to(values.dtype), values) and torch.equal(
            cast.to(torch.float64), values.to(torch.float64)
        )
    if not fits:
        raise _unfit(
            where, key, f"{values.dtype} that {own.dtype} cannot hold", "Save the network's own tensors."
        )
    return cast


def _unfit(where: str, key: str, found: str, remedy: str) -> WeightsError:
    return WeightsError(
        where=f"{where}, tensor '{key}'",
        expected="numbers of the network's own kind",
        found=found,
        remedy=remedy,
    )


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
