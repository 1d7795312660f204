"""Networks that cannot be meant: refused while they are built, before they fill the memory.

Each option has a bound of its own (`stitchpipe.config`), but what a library makes of several, or of one such as a depth
of a million, it alone knows. So the parameters are counted as they come.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psutil  # type: ignore[import-untyped]
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy

from stitchpipe.sizes import size_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_TENSORS: Final = 100_000
"""Parameters of one network, each a tensor: networks of hundreds of layers have a few thousand."""


@contextmanager
def bounded() -> Iterator[None]:
    """Refuse, in the body, a network of more than `MOST_TENSORS` parameters, or of more than this machine's memory.

    One body at a time: it hears of every module that any thread makes.

    Raises
    ------
    ValueError
        There are more. What was built until then is freed.
    """
    room_bytes = psutil.virtual_memory().total
    tensors = n_bytes = 0

    def count(_module: Any, _name: str, parameter: Any) -> None:
        nonlocal tensors, n_bytes
        if parameter is None:
            return
        tensors += 1
        n_bytes += 0 if is_lazy(parameter) or parameter.is_meta else parameter.nbytes
        if tensors > MOST_TENSORS:
            raise ValueError(f"more than {MOST_TENSORS:,} parameters: layers beyond number")
        if n_bytes > room_bytes:
            raise ValueError(f"parameters of more than the {size_of(room_bytes)} of memory of this machine")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()
