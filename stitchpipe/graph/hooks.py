"""Forward hooks on every module of a network: what each returns is shown, and may be replaced."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from stitchpipe.graph.answers import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    OnValue: TypeAlias = Callable[[str, nn.Module, tuple[Any, ...], Tensor], Tensor | None]


def with_hooks(network: nn.Module, images: Tensor, on_value: OnValue) -> Any:
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
            return on_value(call_name(path, number), module, given, output)

        return called

    handles = [module.register_forward_hook(hook(path)) for path, module in network.named_modules() if path]
    try:
        return answer_of(network(images))
    finally:
        for handle in handles:
            handle.remove()


def call_name(path: str, number: int) -> str:
    """Return the layer that a module's call is, counted from 0: ``relu``, ``relu:1``."""
    return f"{path}:{number}" if number else path
