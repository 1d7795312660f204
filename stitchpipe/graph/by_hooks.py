"""A network that torch.fx cannot trace: the same layers, cuts and tails through forward hooks.

A layer is a cut where the network, run on other images with this layer's output replaced, gives the logits that go
with the replaced value, to the last bit. A tail is the whole network on a blank image, with the output replaced: it
costs what the whole network costs.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stitchpipe.graph.layer_info import PENULTIMATE, LayerError, not_behind, suggestion, without_linear
from stitchpipe.graph.layout import Seen, channels_back, channels_first, tells

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OTHER_IMAGE = "the logits depend on the image beside it"


class HookedNetwork:
    """Runs, observes and cuts a network through forward hooks on all of its modules.

    Parameters
    ----------
    network
        Hooks are there while it runs, and pass by what other threads do with it.
    reason
        Why it is not traced.
    """

    def __init__(self, network: nn.Module, reason: str) -> None:
        self.network, self.by_hooks = network, reason
        self._paths = [path for path, _ in network.named_modules() if path]

    def demand(self, name: str) -> None:
        """Refuse a name that no module has, and name the nearest."""
        if _path(name) not in self._paths:
            raise LayerError(
                where=f"layer '{name}'",
                expected=f"a module of {type(self.network).__name__}, which is run by hooks ({self.by_hooks})",
                found="no such name",
                remedy=suggestion(name, self._paths),
            )

    def is_function(self, name: str) -> bool:  # noqa: ARG002 - hooks see modules alone
        """Return whether a layer is a function's output: none is."""
        return False

    def run(self, images: Tensor, names: Sequence[str], seen: Callable[[str, Any], None]) -> Any:
        """Run the network; call `seen` with the name and the value of each wanted layer as it is made."""
        missing = dict.fromkeys(names)

        def note(name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            if name in missing:
                del missing[name]
                seen(name, output)

        logits = _with_hooks(self.network, images, note)
        if missing:
            name = next(iter(missing))
            raise LayerError(
                where=f"layer '{name}'",
                expected="a module that is called and whose output is one tensor",
                found="no such call",
                remedy="Take a layer that follows it.",
            )
        return logits

    def observe(self, images: Tensor) -> Seen:
        """Run the network; return the shapes of all layers and what its modules tell about their axes."""
        found = Seen()
        made: dict[int, list[str]] = {}
        alive = []  # the identity of a tensor holds as long as it lives

        def note(name: str, module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
            found.shapes[name] = tuple(output.shape)
            last = tells(module)
            if last is not None:
                found.told[name] = last
                for taken in made.get(id(given[0]), ()) if given else ():
                    found.told.setdefault(taken, last)
            if output.ndim == 4:
                alive.append(output)
                made.setdefault(id(output), []).append(name)

        found.logits = _with_hooks(self.network, images, note)
        return found

    def why_no_cut(self, names: Sequence[str], images: Tensor) -> dict[str, str]:
        """Return why the rest of the network cannot run from a layer alone; empty where it can.

        Tried on noise of the size of `images`: one or two forward passes of one image for each layer, from the last to
        the first, each as far as the next cut behind it, which must have its value. The layers' values are held in
        memory.
        """
        trial = _Trial.of(self.network, images[:0], names)
        found, behind = {}, None
        for name in reversed(trial.order):
            found[name] = trial.why_no_cut(self.network, name, behind)
            behind = behind if found[name] else name
        return {
            name: found[name] if name in found else trial.why_no_cut(self.network, name) for name in names
        }

    def tail(
        self, name: str, *, last: bool | None, images: Tensor | None, through: Sequence[str] | None = None
    ) -> nn.Module:
        """Return the whole network on a blank image with the output of a layer replaced by what it is given."""
        self.demand(name)
        if images is None or last is None:
            raise LayerError(
                where=f"the tail behind '{name}' of {type(self.network).__name__}",
                expected=f"an image as `example`, because {self.by_hooks}",
                found="none",
                remedy="Hand over an image of the size that the activations were made from.",
            )
        with torch.no_grad():
            trial = _Trial.of(self.network, images, [name])
            why = trial.why_no_cut(self.network, name)
        if why:
            raise LayerError(
                where=f"layer '{name}'",
                expected="a layer whose output is all that the rest of the network needs",
                found=why,
                remedy=self._near(name, images),
            )
        found = HookedTail(
            self.network, name, torch.zeros_like(images[:1]), channels_last=last, through=through
        )
        value = trial.values[name]
        with torch.no_grad():  # refuses layers of `through` that are not behind it
            found(channels_first(value) if last else value)
        return found

    def _near(self, name: str, images: Tensor) -> str:
        """Return up to three cuts near a layer, nearest first, as a remedy."""
        with torch.no_grad():
            names = list(self.observe(images[:1]).shapes)
            place = names.index(name) if name in names else 0
            trial, cuts = _Trial.of(self.network, images[:0], names), list[str]()
            for _, other in sorted(enumerate(names), key=lambda one: abs(one[0] - place)):
                if len(cuts) < 3 and not trial.why_no_cut(self.network, other):
                    cuts.append(other)
        return f"Cuts near it: {', '.join(cuts)}." if cuts else "This network has no cut."


class HookedTail(nn.Module):
    """Activations of a layer ``(n, …)`` → logits: the network on n blank images, the layer's output replaced.

    With `through` a tuple of these layers' outputs and, last, the logits. Owns a frozen copy of the network in eval
    mode, the head included, which runs each time.
    """

    blank: Tensor

    def __init__(
        self,
        network: nn.Module,
        name: str,
        blank: Tensor,
        *,
        channels_last: bool,
        through: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.through = through
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.name, self.channels_last = name, channels_last
        self.register_buffer("blank", blank, persistent=False)

    def forward(self, activations: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits, behind what is wanted on the way."""
        kept: dict[str, Tensor] = {}
        value = channels_back(activations) if self.channels_last else activations.clone()
        replaced = False

        def put(name: str, module: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor | None:
            nonlocal replaced
            if name != self.name:
                if replaced and name in (self.through or ()):
                    kept[name] = output.clone()
                if replaced and self.through is not None and isinstance(module, nn.Linear):
                    kept[PENULTIMATE] = given[0]
                return None
            if output.shape != value.shape:
                raise LayerError(
                    where=f"the tail behind '{self.name}'",
                    expected=f"activations of images of one size, of shape {tuple(output.shape[1:])}",
                    found=f"shape {tuple(value.shape[1:])}",
                    remedy="Make the tail with an example of these images.",
                )
            replaced = True
            return value

        blanks = self.blank.expand(len(value), *self.blank.shape[1:]).clone()
        logits: Tensor = _with_hooks(self.network, blanks, put)
        if not replaced:
            raise LayerError(
                where=f"layer '{self.name}'",
                expected="a layer that runs whatever the image",
                found="no call of it on a blank image",
                remedy="Take a layer that follows it.",
            )
        if self.through is None:
            return logits
        for layer in self.through:
            if layer not in kept:
                raise without_linear(self.network) if layer == PENULTIMATE else not_behind(layer, self.name)
        return (*(kept[layer] for layer in self.through), logits)


@dataclass(frozen=True)
class _Trial:
    """The values that go with some images and one of noise, and other images that they are put into."""

    values: Mapping[str, Tensor]
    logits: Any
    others: tuple[Tensor, Tensor]
    unaffected: bool

    @classmethod
    def of(cls, network: nn.Module, images: Tensor, names: Sequence[str]) -> _Trial:
        noise = torch.Generator().manual_seed(0)

        def random() -> Tensor:
            return torch.rand((1, *images.shape[1:]), generator=noise).to(images)

        given = torch.cat([images, random()])
        others = torch.zeros_like(given), torch.cat([random()] * len(given))
        values: dict[str, Tensor] = {}

        def note(name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            if name in names:
                values[name] = output.clone()

        logits = _with_hooks(network, given, note)
        blank = _with_hooks(network, others[0], lambda *_: None)
        return cls(values, logits, others, unaffected=_same(logits, blank))

    @property
    def order(self) -> list[str]:
        """Return the layers in the order in which they were done."""
        return list(self.values)

    def why_no_cut(self, network: nn.Module, name: str, behind: str | None = None) -> str:
        """Return why a layer is no cut; `behind` is a cut that follows it, if one is known."""
        if self.unaffected:
            return "the logits are the same for every image"
        if name not in self.values:
            return "it is not called on every image"
        return (
            "" if all(self._restored(network, name, other, behind) for other in self.others) else OTHER_IMAGE
        )

    def _restored(self, network: nn.Module, name: str, images: Tensor, behind: str | None) -> bool:
        """Return whether the value alone brings back its logits, or the value of the cut behind it.

        It changes the logits: those of `images` are others.
        """

        def put(at: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor | None:
            if at == behind:
                raise _Reached(output)
            return self.values[name].clone() if at == name else None

        try:
            return _same(_with_hooks(network, images, put), self.logits)
        except _Reached as reached:
            return behind is not None and _same(reached.value, self.values[behind])


class _Reached(BaseException):
    """A forward pass has come as far as it is wanted; no network is to catch it."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)


def _with_hooks(
    network: nn.Module,
    images: Tensor,
    on_value: Callable[[str, nn.Module, tuple[Any, ...], Tensor], Tensor | None],
) -> Any:
    """Run a network; show every tensor that a module returns, with its layer's name, and take a replacement.

    All modules have a hook whatever is asked for: torch takes other kernels through modules that have none.
    """
    calls: dict[str, int] = {}
    thread = threading.get_ident()

    def hook(path: str) -> Callable[[nn.Module, tuple[Any, ...], Any], Any]:
        def called(module: nn.Module, given: tuple[Any, ...], output: Any) -> Tensor | None:
            if threading.get_ident() != thread or not isinstance(output, Tensor):
                return None
            number = calls.get(path, 0)
            calls[path] = number + 1
            return on_value(f"{path}:{number}" if number else path, module, given, output)

        return called

    handles = [module.register_forward_hook(hook(path)) for path, module in network.named_modules() if path]
    try:
        return _logits(network(images))
    finally:
        for handle in handles:
            handle.remove()


def _logits(output: Any) -> Any:
    """Return the logits of a record that has some, as Hugging Face's networks return, or the output itself."""
    logits = getattr(output, "logits", None)
    return logits if isinstance(logits, Tensor) else output


def _path(name: str) -> str:
    stem, _, number = name.rpartition(":")
    return stem if stem and number.isdecimal() else name
