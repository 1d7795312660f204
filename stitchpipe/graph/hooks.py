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
        def called(module: nn.Module, given: tuple[Any, ...], output: Any) -> Any:
            value = only_tensor(output)
            if threading.get_ident() != thread or value is None:
                return None
            number = calls.get(path, 0)
            calls[path] = number + 1
            replaced = on_value(call_name(path, number), module, given, value)
            if replaced is None or isinstance(output, Tensor):
                return replaced
            return type(output)(replaced if part is value else part for part in output)

        return called

    handles = [module.register_forward_hook(hook(path)) for path, module in network.named_modules() if path]
    try:
        return answer_of(network(images))
    finally:
        for handle in handles:
            handle.remove()


def only_tensor(output: Any) -> Tensor | None:
    """Return what a module returned, or the one tensor of a tuple of it and what is none, such as a size or None."""
    if isinstance(output, Tensor):
        return output
    if type(output) not in {tuple, list}:
        return None
    tensors = [part for part in output if isinstance(part, Tensor)]
    rest = (part for part in output if not isinstance(part, Tensor))
    return tensors[0] if len(tensors) == 1 and all(map(is_plain, rest)) else None


def is_plain(value: Any) -> bool:
    """Return whether a value is None, a number, a text, or a size: what holds no tensor and is never changed."""
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def call_name(path: str, number: int) -> str:
    """Return the layer that a module's call is, counted from 0: ``relu``, ``relu:1``."""
    return f"{path}:{number}" if number else path
