"""Which values of four axes hold their channels last, found out from what networks do with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Shape = tuple[int, ...]

_LAST = (nn.Linear, nn.LayerNorm)
_FIRST = (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
_FUNCTIONS = {F.linear: True, F.layer_norm: True, F.conv2d: False, F.batch_norm: False, F.group_norm: False}


@dataclass(slots=True)
class Seen:
    """What one forward pass showed: shapes by layer, and where an operation told which axis holds the channels.

    Attributes
    ----------
    shapes
        Of the named values that are tensors, the batch included.
    on_last_axis
        True of a value of four axes that a Linear or LayerNorm made or took, False of a convolution's.
    logits
        The network's answer: the one tensor of its output that counts.
    has_logits
        Whether that is a row of logits for each image, and not features.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    on_last_axis: dict[str, bool] = field(default_factory=dict)
    logits: Any = None
    has_logits: bool = True

    def of_layers(self, count: int) -> dict[str, Shape]:
        """Return the shapes of one sample of those values that are layers; the network was run on `count` images."""
        return {
            name: shape[1:]
            for name, shape in self.shapes.items()
            if len(shape) in {2, 3, 4} and shape[0] == count
        }


def tells(operation: object, given: Sequence[object] = ()) -> bool | None:
    """Return whether a module or function works on the last of four axes (True), the second (False), or neither.

    Subclasses that have a forward pass of their own may do anything: channels-first LayerNorms are such. Over several
    axes LayerNorm does not tell which holds the channels. `given` are a function's arguments.
    """
    if isinstance(operation, nn.LayerNorm) and len(operation.normalized_shape) != 1:
        return None
    if not isinstance(operation, nn.Module):
        several = operation is F.layer_norm and (len(given) < 2 or not _is_one(given[1]))
        return None if several else _FUNCTIONS.get(operation)  # type: ignore[call-overload]
    forward = type(operation).forward
    for kinds, last in ((_LAST, True), (_FIRST, False)):
        if any(isinstance(operation, kind) and forward is kind.forward for kind in kinds):
            return last
    return None


def channels_last(
    network: nn.Module, images: Tensor, seen: Seen, observe: Callable[[Tensor], Seen]
) -> frozenset[str]:
    """Return the layers whose values ``(n, …)`` of four axes hold their channels last.

    Only asked where a Linear or LayerNorm worked on four axes; otherwise there are none. The network is run on
    images of another size: the axis that stays as it was is the channels'. Where both stay or both change, or where
    other sizes are refused, what the operations beside the value say holds, then what they say of values of the same
    shape, then what the network declares (timm's ``output_fmt``); otherwise channels are first.

    Notes
    -----
    One forward pass of one image, of twice the size or half.
    """
    maps = {name: shape[1:] for name, shape in seen.shapes.items() if len(shape) == 4}
    # Most networks end here: convolutions alone never hold channels last, and the second size need not be run.
    if not any(seen.on_last_axis.get(name, False) for name in maps):
        return frozenset()
    elsewhere = _at_another_size(images, observe)
    # The declaration is the last resort: it speaks of the network as a whole, and not of every value inside it.
    declared = getattr(network, "output_fmt", None) == "NHWC"
    decided = {
        name: _decided(shape, elsewhere.get(name), seen.on_last_axis.get(name))
        for name, shape in maps.items()
    }
    # What is known of some values of a shape is taken for the undecided ones of that shape, if it is unanimous.
    by_shape: dict[Shape, set[bool]] = {}
    for name, last in decided.items():
        if last is not None:
            by_shape.setdefault(maps[name], set()).add(last)
    layers = set()
    for name, last in decided.items():
        alike = by_shape.get(maps[name], set())
        guess = next(iter(alike)) if len(alike) == 1 else declared
        if guess if last is None else last:
            layers.add(name)
    return frozenset(layers)


def channels_first(value: Tensor) -> Tensor:
    """Return a view ``(n, C, H, W)`` of ``(n, H, W, C)``."""
    return value.permute(0, 3, 1, 2)


def channels_back(value: Tensor) -> Tensor:
    """Return ``(n, H, W, C)``, in memory of its own, of ``(n, C, H, W)``."""
    return value.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format)


def _is_one(shape: object) -> bool:
    return isinstance(shape, int) or (isinstance(shape, list | tuple) and len(shape) == 1)


def _decided(shape: Shape, other: Shape | None, on_last_axis: bool | None) -> bool | None:
    """Return whether channels are last: what another image size shows, else what the operations say, else None."""
    # The axis that stays as it is when the image grows is the channels'; where both or neither stay, nothing is shown.
    if other is not None and len(other) == len(shape):
        first_stays, last_stays = shape[0] == other[0], shape[-1] == other[-1]
        if first_stays != last_stays:
            return last_stays
    return on_last_axis


def _at_another_size(images: Tensor, observe: Callable[[Tensor], Seen]) -> Mapping[str, Shape]:
    """Return the shapes ``(…)`` of one sample of another size; none where the network refuses every other."""
    # Networks with a fixed number of positions refuse other sizes, each with an exception of its own; then
    # nothing is learned.
    for size in _other_sizes(images.shape[2], images.shape[3]):
        try:
            seen = observe(images.new_zeros(1, images.shape[1], *size))
        except Exception:  # noqa: BLE001, S112 - a network refuses a size however it likes
            continue
        return {name: shape[1:] for name, shape in seen.shapes.items()}
    return {}


def _other_sizes(height: int, width: int) -> Iterator[tuple[int, int]]:
    # The cheaper size first: small images doubled, large ones halved.
    double, half = (2 * height, 2 * width), (height // 2, width // 2)
    yield from (double, half) if max(height, width) < 128 else (half, double)
