"""The part of a network behind a layer, where the network has no graph: the whole of it, the layer's value replaced."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stitchpipe.graph.headless import IMAGES, leave_out_head
from stitchpipe.graph.hooks import with_hooks
from stitchpipe.graph.joint_cuts import joint_name
from stitchpipe.graph.layer_info import PENULTIMATE, LayerError, not_behind, without_linear
from stitchpipe.graph.layout import channels_back

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class HookedTail(nn.Module):
    """Activations of a layer ``(n, …)`` → logits: the network on n blank images, the layer's output replaced.

    Of a joint cut activations of several, in the order of `last`, which says of each whether its channels are last.
    With `through` a tuple of these layers' outputs and, last, the logits. Owns a frozen copy of the network in eval
    mode. The head runs each time, unless it is left out (`stitchpipe.graph.headless`).
    """

    blank: Tensor

    def __init__(
        self,
        network: nn.Module,
        last: Mapping[str, bool],
        blank: Tensor,
        *,
        through: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.through = through
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.last, self.name = dict(last), joint_name(tuple(last))
        self.register_buffer("blank", blank, persistent=False)

    def forward(self, *activations: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits, behind what is wanted on the way."""
        kept: dict[str, Tensor] = {}
        values = {
            name: channels_back(value) if is_last else value.clone()
            for value, (name, is_last) in zip(activations, self.last.items(), strict=True)
        }
        waiting = set(values)

        def put(name: str, module: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor | None:
            replaced = not waiting
            if name not in values:
                # A layer that ran before the replacement did not see the activations, and counts as not
                # behind it.
                if replaced and name in (self.through or ()):
                    kept[name] = output.clone()
                if replaced and self.through is not None and isinstance(module, nn.Linear):
                    kept[PENULTIMATE] = given[0]
                return None
            value = values[name]
            if output.shape != value.shape:
                raise _of_other_images(name, output, value)
            waiting.discard(name)
            return value

        # The network runs on as many blank images as there are activations. Its head works on them for
        # nothing, and the value at the layer is put in its place.
        blanks = self.blank.expand(len(activations[0]), *self.blank.shape[1:]).clone()
        # A tail whose head was left out has modules that need to know how many images there are; they read
        # them from here.
        token = IMAGES.set(blanks)
        try:
            logits: Tensor = with_hooks(self.network, blanks, put)
        finally:
            IMAGES.reset(token)
        if waiting:
            raise _never_called(next(name for name in self.last if name in waiting))
        if self.through is None:
            return logits
        for layer in self.through:
            if layer not in kept:
                raise without_linear(self.network) if layer == PENULTIMATE else not_behind(layer, self.name)
        return (*(kept[layer] for layer in self.through), logits)

    def headless(self, *values: Tensor) -> HookedTail:
        """Return this tail without what is done before its layers; itself where that is not what it is on `values`."""
        whole, shorter = self(*values), copy.deepcopy(self)
        try:
            leave_out_head(shorter.network, tuple(self.last), self.blank)
            answer = shorter(*values)
        except Exception:  # noqa: BLE001 - a network may ask its modules for whatever it likes
            return self
        return shorter if _same(answer, whole) else self


def _of_other_images(name: str, output: Tensor, value: Tensor) -> LayerError:
    """Return the error that says that activations are not of the size of what they replace."""
    return LayerError(
        where=f"the tail behind '{name}'",
        expected=f"activations of images of one size, of shape {tuple(output.shape[1:])}",
        found=f"shape {tuple(value.shape[1:])}",
        remedy="Make the tail with an example of these images.",
    )


def _never_called(name: str) -> LayerError:
    """Return the error that says that a layer's turn never came."""
    return LayerError(
        where=f"layer '{name}'",
        expected="a layer that runs whatever the image",
        found="no call of it on a blank image",
        remedy="Take a layer that follows it.",
    )


def _same(answer: Tensor | tuple[Tensor, ...], whole: Tensor | tuple[Tensor, ...]) -> bool:
    """Return whether two answers of a tail are equal to the last bit, all values on the way included."""
    if isinstance(answer, Tensor) or isinstance(whole, Tensor):
        return isinstance(answer, Tensor) and isinstance(whole, Tensor) and torch.equal(answer, whole)
    return all(map(torch.equal, answer, whole))
