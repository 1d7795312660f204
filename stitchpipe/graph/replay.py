"""Running a network on the same images again and again, each time only from some layer on."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from stitchpipe.graph.hooks import with_hooks
from stitchpipe.graph.recorded_run import RecordedRun, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from stitchpipe.graph.hooks import OnValue


class Replay:
    """Lets modules return what they returned before, for as long as it is entered.

    Parameters
    ----------
    network
        Other threads may use it meanwhile.
    inputs
        The images of each run.

    Notes
    -----
    Holds copies of the outputs of all modules for all inputs.
    """

    def __init__(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        self._network, self._inputs = network, inputs
        self._records = [RecordedRun.of(network, images) for images in inputs]
        self._thread, self._number = threading.get_ident(), 0
        self._restore: dict[str, Callable[[], None]] = {}

    def __enter__(self) -> Self:
        for path in set.intersection(*(record.replaceable() for record in self._records)):
            module = self._network.get_submodule(path)
            # Hooks still fire: they belong to the call of a module, of which only the forward pass is replaced. Where
            # the method was the class's, ours is deleted in the end, so that the module is what it was, to the last
            # attribute.
            forward, is_its_own = module.forward, "forward" in vars(module)
            self._restore[path] = partial(_put_back, module, forward if is_its_own else None)
            module.forward = partial(self._again, path, forward)
        return self

    def __exit__(self, *_: object) -> None:
        for restore in self._restore.values():
            restore()
        self._restore.clear()

    def _again(self, path: str, forward: Callable[..., Any], *given: Any, **named: Any) -> Any:
        # Another thread that uses the network meanwhile gets the real forward pass.
        if threading.get_ident() != self._thread:
            return forward(*given, **named)
        # A copy, because what follows may work in place on it, and the record serves the next run too.
        return copied(self._records[self._number].outputs[path])

    def work_behind(self, layer: str) -> None:
        """Let modules that are done after `layer` work from now on."""
        # A module that ends after the layer may depend on its value. It must work again once the layer's
        # value is changed.
        for path in list(self._restore):
            if any(record.done[path] > record.done.get(layer, -1) for record in self._records):
                self._restore.pop(path)()

    def run(self, number: int, on_value: OnValue) -> Any:
        """Run the network on one of the inputs; see `with_hooks`."""
        self._number = number
        return with_hooks(self._network, self._inputs[number], on_value)


def _put_back(module: nn.Module, forward: Callable[..., Any] | None) -> None:
    if forward is None:
        del module.forward
    else:
        module.forward = forward
