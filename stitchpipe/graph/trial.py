"""Whether the rest of a network can run from a layer alone, tried out: its value is put into other images' runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from stitchpipe.graph.hooks import with_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stitchpipe.graph.hooks import OnValue

    NetworkRun: TypeAlias = Callable[[int, OnValue], Any]

OTHER_IMAGE = "the logits depend on the image beside it"


@dataclass(frozen=True)
class Trial:
    """The values that go with some images and one of noise, and other images that they are put into."""

    values: Mapping[str, Tensor]
    logits: Any
    others: tuple[Tensor, Tensor]
    unaffected: bool

    @classmethod
    def of(cls, network: nn.Module, images: Tensor, names: Sequence[str]) -> Trial:
        """Run a network on some images and one of noise, and keep the values of the named layers."""
        # A seeded generator of its own: the same network is judged in the same way every time.
        noise = torch.Generator().manual_seed(0)

        def random() -> Tensor:
            return torch.rand((1, *images.shape[1:]), generator=noise).to(images)

        # One image of noise is always there, so that there is something to look at where the caller gave
        # none.
        given = torch.cat([images, random()])
        # Two other inputs, blank and noise: a branch that looks at the image may go the same way for one of them.
        others = torch.zeros_like(given), torch.cat([random()] * len(given))
        values: dict[str, Tensor] = {}

        def note(name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
            if name in names:
                values[name] = output.clone()

        logits = with_hooks(network, given, note)
        # A network that gives the same logits for blank images shows nothing when a value is put in: every
        # layer would seem a cut.
        blank = with_hooks(network, others[0], lambda *_: None)
        return cls(values, logits, others, unaffected=_same(logits, blank))

    @property
    def order(self) -> list[str]:
        """Return the layers in the order in which they were done."""
        return list(self.values)

    def why_no_cut(self, run: NetworkRun, name: str, behind: str | None = None) -> str:
        """Return why a layer is no cut; `behind` is a cut that follows it, if one is known.

        `run` runs the network on the first or the second of the other images.
        """
        if self.unaffected:
            return "the logits are the same for every image"
        if name not in self.values:
            return "it is not called on every image"
        return "" if self._restores(run, (name,), behind) else OTHER_IMAGE

    def is_joint_cut(self, run: NetworkRun, names: tuple[str, ...]) -> bool:
        """Return whether the rest of the network can run from the values of several layers together."""
        are_called = all(name in self.values for name in names)
        return are_called and not self.unaffected and self._restores(run, names)

    def is_idle(self, run: NetworkRun, names: tuple[str, ...], name: str) -> bool:
        """Return whether the logits of a joint cut stay what they are whatever one of its layers gives."""

        def put(at: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor | None:
            return (
                torch.zeros_like(output) if at == name else self.values[at].clone() if at in names else None
            )

        return _same(run(0, put), self.logits)

    def _restores(self, run: NetworkRun, names: tuple[str, ...], behind: str | None = None) -> bool:
        return all(self._restored(run, names, other, behind) for other in (0, 1))

    def _restored(self, run: NetworkRun, names: tuple[str, ...], other: int, behind: str | None) -> bool:
        """Return whether the values alone bring back their logits, or the value of the cut behind them.

        They change the logits: those of the other images are others.
        """

        def put(at: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor | None:
            if at == behind:
                raise _Reached(output)  # a cut: if its value is right, so is all that follows
            return self.values[at].clone() if at in names else None

        try:
            return _same(run(other, put), self.logits)
        except _Reached as reached:
            return behind is not None and _same(reached.value, self.values[behind])


class _Reached(BaseException):
    """A forward pass has come as far as it is wanted; no network is to catch it."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


def _same(value: Any, expected: Any) -> bool:
    return isinstance(value, Tensor) and isinstance(expected, Tensor) and torch.equal(value, expected)
