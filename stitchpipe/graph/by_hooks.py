"""A network that torch.fx cannot trace: the same layers, cuts and tails through forward hooks.

A layer is a cut where the network, run on other images with this layer's output replaced, gives the logits that go
with the replaced value, to the last bit. A tail is the network on a blank image, with the output replaced, and without
the modules that are done before; where a network does not do without them, they run too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from stitchpipe.graph.flow import Flow
from stitchpipe.graph.hooked_tail import HookedTail
from stitchpipe.graph.hooks import with_hooks
from stitchpipe.graph.joint_cuts import (
    JOIN,
    LONG,
    MOST,
    Candidate,
    boundaries,
    joint_cuts,
    near_cuts,
    nearest,
    no_joint_cut,
)
from stitchpipe.graph.layer_info import LayerError, suggestion
from stitchpipe.graph.layout import Seen, channels_first, tells
from stitchpipe.graph.replay import Replay
from stitchpipe.graph.trial import OTHER_IMAGE, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stitchpipe.graph.trial import NetworkRun


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
        # A name is struck off at its first call; what is left in the end was never called.
        missing = dict.fromkeys(names)

        def note(name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            if name in missing:
                del missing[name]
                seen(name, output)

        logits = with_hooks(self.network, images, note)
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
        seen = Seen()
        made_by: dict[int, list[str]] = {}
        alive = []  # the identity of a tensor holds as long as it lives

        def note(name: str, module: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
            seen.shapes[name] = tuple(output.shape)
            last = tells(module)
            if last is not None:
                seen.on_last_axis[name] = last
                for input_layer in made_by.get(id(given[0]), ()) if given else ():
                    seen.on_last_axis.setdefault(input_layer, last)
            if output.ndim == 4:  # only these have a layout to be found out
                alive.append(output)
                made_by.setdefault(id(output), []).append(name)

        seen.logits = with_hooks(self.network, images, note)
        return seen

    def why_no_cut(self, names: Sequence[str], images: Tensor) -> dict[str, str]:
        """Return why the rest of the network cannot run from a layer alone; empty where it can.

        Tried on noise of the size of `images`, from the last layer to the first: each on two images, from the layer as
        far as the next cut behind it, which must have its value. What all modules return is held in memory.
        """
        # With no image of the caller's, the trial is of one image of noise alone.
        trial = Trial.of(self.network, images[:0], names)
        why: dict[str, str] = {}
        next_cut = None  # the nearest behind the layer that is tried
        with Replay(self.network, trial.others) as replay:
            for name in reversed(trial.order):
                # From the last layer to the first, ever more modules have to work again. Those before the
                # layer still return what they returned.
                replay.work_behind(name)
                why[name] = trial.why_no_cut(replay.run, name, next_cut)
                next_cut = next_cut if why[name] else name
        # Layers that were not called in the trial have no place in its order, and that is their reason.
        whole = self._on(trial)
        return {name: why[name] if name in why else trial.why_no_cut(whole, name) for name in names}

    def _on(self, trial: Trial) -> NetworkRun:
        """Return what runs the whole network on the other images of a trial."""
        return lambda other, on_value: with_hooks(self.network, trial.others[other], on_value)

    def is_layer(self, name: str) -> bool:
        """Return whether a module, or one of its calls, has this name."""
        return _path(name) in self._paths

    def joint_candidates(self, names: Sequence[str], images: Tensor) -> list[Candidate]:
        """Return where blocks and branches end and several of the layers `names` are all that is needed behind.

        One run on an image of noise, which automatic differentiation notes; none where it cannot.
        """
        try:
            flow = Flow.of(self.network, torch.rand_like(images[:1]))
        except Exception:  # noqa: BLE001 - a network without gradients fails however it likes
            return []
        known, ending = set(names), boundaries(self.network)
        found = []
        for path, count in flow.ends:
            members = flow.needed(count) if path in ending else ()
            if 2 <= len(members) <= MOST and known.issuperset(members) and JOIN not in "".join(members):
                found.append(Candidate(members, path.count(".")))
        return found

    def joint_trial(
        self, names: Sequence[str], images: Tensor
    ) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """Return what tries out which members of a candidate the rest of the network runs from; none if it cannot."""
        trial = Trial.of(self.network, images[:0], names)
        run = self._on(trial)

        def held(members: tuple[str, ...]) -> tuple[str, ...]:
            if not trial.is_joint_cut(run, members):
                return ()
            # A class token that is sliced off a value is noted as all of it, and the logits need no more of it.
            needed = tuple(name for name in members if not trial.is_idle(run, members, name))
            return needed if trial.is_joint_cut(run, needed) else ()

        return held

    def joint_tail(
        self, last: Mapping[str, bool], *, images: Tensor, through: Sequence[str] | None = None
    ) -> nn.Module:
        """Return the whole network on a blank image with the outputs of the layers `last` replaced."""
        for name in last:
            self.demand(name)
        names = tuple(last)
        with torch.no_grad():
            trial = Trial.of(self.network, images, names)
            if not trial.is_joint_cut(self._on(trial), names):
                raise no_joint_cut(names, OTHER_IMAGE, self._near(names[-1], images))
            for name in names:
                if trial.is_idle(self._on(trial), names, name):
                    raise no_joint_cut(names, f"{name}, which nothing needs", self._near(name, images))
        hooked = HookedTail(self.network, last, torch.zeros_like(images[:1]), through=through)
        return self._headless(hooked, trial)

    def _headless(self, tail: HookedTail, trial: Trial) -> HookedTail:
        """Return a tail without what is done before its layers, tried on the values of a trial."""
        # The tail is handed activations as they are stored, with channels first.
        values = [
            channels_first(trial.values[name]) if is_last else trial.values[name]
            for name, is_last in tail.last.items()
        ]
        with torch.no_grad():  # the tail's first run refuses layers of `through` that are not behind it
            return tail.headless(*(torch.cat([value, value]) for value in values))

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
            trial = Trial.of(self.network, images, [name])
            why = trial.why_no_cut(self._on(trial), name)
        if why:
            raise LayerError(
                where=f"layer '{name}'",
                expected="a layer whose output is all that the rest of the network needs",
                found=why,
                remedy=self._near(name, images),
            )
        hooked = HookedTail(self.network, {name: last}, torch.zeros_like(images[:1]), through=through)
        return self._headless(hooked, trial)

    def _near(self, name: str, images: Tensor) -> str:
        """Return up to three cuts near a layer, nearest first, and a joint cut where there is one, as a remedy."""
        with torch.no_grad():
            seen = self.observe(torch.cat([images[:1], images[:1]]))
            names = list(seen.shapes)
            position = names.index(name) if name in names else 0
            trial, cuts = Trial.of(self.network, images[:0], names), list[str]()
            for _, other in sorted(enumerate(names), key=lambda numbered: abs(numbered[0] - position)):
                if len(cuts) < 3 and not trial.why_no_cut(self._on(trial), other):
                    cuts.append(other)
            # Joint cuts are where single ones are far, and looking for them takes all single ones.
            if cuts and 2 * LONG * abs(names.index(cuts[0]) - position) <= len(names):
                return near_cuts(cuts, None)
            known = list(seen.of_layers(2))
            why = self.why_no_cut(known, images)
            joint = joint_cuts(self, {layer: not why[layer] for layer in known}, images)
        return near_cuts(cuts, nearest(joint, known, name))


def _path(name: str) -> str:
    # The second call of a module carries a number behind a colon; the path is what stands before it.
    stem, _, number = name.rpartition(":")
    return stem if stem and number.isdecimal() else name
