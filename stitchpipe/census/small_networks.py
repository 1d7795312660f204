"""Networks at the smallest images that they take: which options and sizes are tried, the first that works is taken."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from stitchpipe.census.cheap_weights import GENTLE, fill, judged_images, random_images, settle, undrawn
from stitchpipe.census.difference import are_alike
from stitchpipe.errors import first_line
from stitchpipe.graph.answers import answer_of
from stitchpipe.models import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stitchpipe.census.subjects import Subject

SIZES: Final = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 384, 448, 512, 1024)
"""Sides of images, in the order in which they are tried."""

LARGE: Final = 350_000_000
"""Parameters above which a network is built with fewer blocks, where its constructor takes a depth."""

DEPTHS: Final = (
    "num_hidden_layers", "depths", "num_layers", "layer_depths", "encoder_layers", "decoder_layers", "depth",
    "num_blocks",
)  # fmt: skip
"""What configurations call their numbers of blocks."""

FEW: Final = 4
"""Blocks that are left of a transformer; of a stage 2."""


class UnreachedError(Exception):
    """No network could be built that takes an image."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Options to build a network with, the images to give it, and what was left out of it."""

    options: Mapping[str, Any]
    shape: tuple[int, int, int]
    reduced: str = ""

    @property
    def key(self) -> str:
        """Of the network that the options make."""
        return repr(sorted(self.options.items()))


@dataclass(frozen=True, eq=False)
class Small:
    """A network with random weights that took images of a size."""

    network: nn.Module
    shape: tuple[int, int, int]
    reduced: str


def small(subject: Subject) -> Small:
    """Return a network in eval mode at the first of the sizes that it takes.

    One of more than `LARGE` parameters is taken whole only where no option makes it shorter.

    Raises
    ------
    UnreachedError
        None was taken; says why the last one was not.
    """
    of_library = {"timm": _of_timm, "transformers": _of_transformers}.get(subject.library, _of_torchvision)
    attempts = list(of_library(subject.name.rpartition("/")[2]))
    # Whole ones first; they come again behind the shorter ones, should they turn out to be too large.
    shorter = [attempt for attempt in attempts if attempt.reduced]
    whole = [attempt for attempt in attempts if not attempt.reduced]
    limits = [*((attempt, LARGE) for attempt in whole), *((attempt, None) for attempt in (*shorter, *whole))]
    if subject.library == "transformers":
        limits = [(attempt, None) for attempt in attempts]
    why, known, is_large = "no way to build it", dict[str, nn.Module](), False
    for attempt, limit in limits:
        if limit is not None and is_large:
            continue
        try:
            if attempt.key not in known:
                known.clear()  # one network in memory at a time
                known[attempt.key] = made(subject.name, attempt.options, limit)
            takes = _takes(known[attempt.key], attempt.shape)
        except _LargeError:
            is_large = True
            continue
        except Exception as error:  # noqa: BLE001 - libraries refuse sizes and options however they like
            why = f"{type(error).__name__}: {first_line(error)}"
            continue
        if not takes:
            why = f"it returns no tensor with one entry per image at {attempt.shape}"
            continue
        return Small(known[attempt.key], attempt.shape, attempt.reduced)
    raise UnreachedError(why)


def made(name: str, options: Mapping[str, Any], limit: int | None = None) -> nn.Module:
    """Return a network with weights that cost little, in eval mode; refused above `limit` parameters."""
    with undrawn():
        network = build(name, options, seed=0)
    # Until they are filled, the memory of large tensors is only promised.
    if limit is not None and sum(parameter.numel() for parameter in network.parameters()) > limit:
        raise _LargeError
    network.requires_grad_(requires_grad=False).float()
    fill(network)
    return network.eval()


class _LargeError(Exception):
    """It has more parameters than it should."""


@torch.no_grad()
def _takes(network: nn.Module, shape: tuple[int, int, int]) -> bool:
    """Return whether a network answers images, each by itself; its weights are such that it tells them apart."""
    images = random_images(shape, 4, seed=2)
    answer = answer_of(network(images))
    if not isinstance(answer, Tensor) or answer.ndim < 2 or len(answer) != len(images):
        return False
    settle(network, images)
    answer = answer_of(network(judged_images(shape)))
    if are_alike(answer) or not torch.isfinite(answer).all():
        fill(network, GENTLE)
        settle(network, images)
    return True


def _of_torchvision(name: str) -> Iterator[Attempt]:
    options: dict[str, Any] = {"num_classes": 10}
    if name.startswith("vit"):
        size = 2 * int(name.rpartition("_")[2])
        yield Attempt(options | {"image_size": size}, (3, size, size))
    if name in {"googlenet", "inception_v3"}:
        options["init_weights"] = False  # draws each number on its own
    for size in SIZES[:-1]:
        yield Attempt(options, (3, size, size))


def _of_timm(name: str) -> Iterator[Attempt]:
    timm = import_module("timm")
    settings = timm.get_pretrained_cfg(name, allow_unregistered=True)
    channels, side, _ = settings.input_size if settings is not None else (3, 224, 224)
    is_fixed = settings is not None and settings.fixed_input_size
    sizes = [*(size for size in SIZES if size < side), side]
    for fewer in ({}, {"depth": FEW}, {"depths": (2, 2, 2, 2)}, {"layers": (2, 2, 2, 2)}):
        options, reduced = {"num_classes": 10} | fewer, _told(fewer)
        for size in sizes:
            yield Attempt(options | ({"img_size": size} if is_fixed else {}), (channels, size, size), reduced)
        if is_fixed:  # its constructor may not take another size
            yield Attempt(options, (channels, side, side), reduced)


def _of_transformers(kind: str) -> Iterator[Attempt]:
    library = import_module("transformers")
    config = library.AutoConfig.for_model(kind)
    part = getattr(config, "vision_config", None) or config
    channels = getattr(part, "num_channels", 3)
    channels = channels if isinstance(channels, int) else 3
    shallow = {key: _fewer(getattr(part, key)) for key in DEPTHS if _is_depth(getattr(part, key, None))}
    classes = {} if part is config else {"num_classes": 0}
    native = getattr(part, "image_size", None)
    patch = getattr(part, "patch_size", None)
    small_side = 4 * patch if isinstance(patch, int) and patch >= 8 else 32
    for fewer in (shallow, {}) if shallow else ({},):
        reduced = _told(fewer)
        if isinstance(native, int):
            for side in dict.fromkeys((small_side, 64, 128, 224)):
                if side < native:
                    yield Attempt({**classes, **fewer, "image_size": side}, (channels, side, side), reduced)
            yield Attempt({**classes, **fewer}, (channels, native, native), reduced)
            continue
        if isinstance(native, list | tuple) and len(native) == 2:
            yield Attempt({**classes, **fewer, "image_size": [64, 64]}, (channels, 64, 64), reduced)
            yield Attempt({**classes, **fewer}, (channels, *map(int, native)), reduced)  # type: ignore[arg-type]
            continue
        for side in dict.fromkeys((small_side, *SIZES[:7])):
            yield Attempt({**classes, **fewer}, (channels, side, side), reduced)


def _told(fewer: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in fewer.items())


def _is_depth(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(part, int) for part in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _fewer(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [min(part, 2) for part in value]
    return min(value, FEW)
