"""Activations in memory, for comparisons that need no store."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from stitchpipe.capture.batch_images import batches_of, demand_alike, images_of
from stitchpipe.capture.determinism import CaptureError, check_deterministic
from stitchpipe.capture.precision import precision
from stitchpipe.graph import LOGITS, extractor, in_eval_mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def activations_of(
    network: nn.Module, loader: Iterable[Any], layers: Sequence[str]
) -> dict[str, npt.NDArray[np.floating]]:
    """Run `network` over `loader` and return layer → activations ``(n, …)``, in the loader's order.

    As `paired_activations` with one network. To compare two networks use that one: a loader that shuffles gives
    another order each time it is walked.
    """
    return paired_activations({"network": network}, loader, {"network": layers})["network"]


def paired_activations(
    networks: Mapping[str, nn.Module],
    loader: Iterable[Any],
    layers: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, npt.NDArray[np.floating]]]:
    """Run several networks over the same batches; return network → layer → activations ``(n, …)``, float32.

    The loader is walked once, so that row i of every array is the same image even where the loader shuffles.

    Parameters
    ----------
    networks
        Run in eval mode, each on its own device; their modes are what they were afterwards.
    loader
        Batches of images as `images_of` takes them: tensors, tuples that begin with them, or named fields.
    layers
        Layers of each network; `LOGITS` among them stands for what it answers.

    Raises
    ------
    CaptureError
        The loader is empty, or a network does not answer the same image in the same way every time.
    stitchpipe.graph.LayerError, stitchpipe.graph.TraceError
        No such layer; a network cannot be traced.

    Notes
    -----
    All activations are held in memory, twice while they are put together.
    """
    parts = {name: {layer: [] for layer in layers[name]} for name in networks}  # type: ignore[var-annotated]
    n_batches = 0
    with ExitStack() as modes, precision():
        for network in networks.values():
            # The networks belong to the caller, whose modes come back when the stack is left, by an error
            # too.
            modes.enter_context(in_eval_mode(network))
        runs = {
            name: extractor(network, [layer for layer in layers[name] if layer != LOGITS])
            for name, network in networks.items()
        }
        first = None
        for n_batches, batch in enumerate(batches_of(loader), start=1):
            images = images_of(batch)
            first = images if first is None else first
            demand_alike(images, first, n_batches)
            for name, run in runs.items():
                on_device = images.to(device_of(networks[name]))
                # One batch is enough to see dropout or another source of chance; it is asked before
                # anything is kept.
                if n_batches == 1:
                    check_deterministic(run, on_device)
                values = run(on_device)
                if LOGITS in parts[name] and LOGITS not in values:
                    raise _no_logits(name)
                for layer, blocks in parts[name].items():
                    blocks.append(values[layer].float().cpu().numpy())
    if n_batches == 0:
        raise CaptureError(
            where="loader",
            expected="at least one batch of images",
            found="none",
            remedy="An iterator can be walked only once: hand over a list or a DataLoader.",
        )
    return {
        name: {layer: np.concatenate(blocks) for layer, blocks in collected.items()}
        for name, collected in parts.items()
    }


def _no_logits(network: str) -> CaptureError:
    return CaptureError(
        where=f"network '{network}'",
        expected="logits, because what it predicts is asked for",
        found="features: it has no classifier",
        remedy="Compare its layers alone.",
    )


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's parameters lie; the CPU where it has none."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
