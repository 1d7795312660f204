"""Modules of this Python process as architectures: ``object/NAME@DIGEST``, kept from when they were handed over.

The name of such an architecture is its identity: the digest covers the weights, the source of every class of module,
and the plain attributes of each (a number of heads, a scale), so that another network never has the same name. No other
process can build it again, and whoever tries is told so.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import textwrap
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.errors import named_line
from stitchpipe.models.errors import ArchitectureError
from stitchpipe.models.weights import weights_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

PREFIX: Final = "object"
DIGITS: Final = 16
"""Hex digits of the digest in a name."""

_HELD: dict[str, nn.Module] = {}
"""By name: copies, which nobody else has."""


def hold_module(network: nn.Module) -> str:
    """Keep a copy of a module for this process, and return the name of its architecture.

    Raises
    ------
    ArchitectureError
        It cannot be copied.

    Notes
    -----
    Memory: a copy of the module, until the process ends. Equal modules are kept once.
    """
    network = getattr(network, "_orig_mod", network)  # what `torch.compile` made has no source of its own
    name = f"{type(network).__name__}@{digest_of(network)[:DIGITS]}"
    if name not in _HELD:
        _HELD[name] = _copied(network, name)
    return f"{PREFIX}/{name}"


def build(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Return a copy of the module that is held under a name; `ArchitectureError` where this process holds none."""
    demand_known(name)
    if options:
        raise ArchitectureError(
            where=f"architecture '{PREFIX}/{name}'",
            expected="no options: a module is as it is",
            found=", ".join(options),
            remedy="Leave them out.",
        )
    return _copied(_HELD[name], name)


def demand_known(name: str) -> None:
    """Refuse a module that this process does not hold; `ArchitectureError` says what to do."""
    if name not in _HELD:
        raise ArchitectureError(
            where=f"architecture '{PREFIX}/{name}'",
            expected="a module that this process was given by `sp.run`",
            found="none of this name: it was an object of another Python process",
            remedy="Call `sp.run` again with the module. What is in the run's store is read without it.",
        )


def digest_of(network: nn.Module) -> str:
    """Return SHA-256 over a module's tensors, the sources of its classes, and their plain attributes, hex."""
    digest = hashlib.sha256(weights_digest(network).encode())
    sources: dict[type, str] = {}
    for path, module in network.named_modules():
        kind = type(module)
        if kind not in sources:
            sources[kind] = _source(kind)
        plain = sorted((name, repr(value)) for name, value in _plain(module))
        digest.update(f"\0{path}\0{kind.__qualname__}\0{plain}".encode())
    for source in sorted(sources.values()):
        digest.update(f"\0{source}".encode())
    return digest.hexdigest()


def _plain(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield what of a module is neither tensor nor module: numbers and texts, which decide over what it does."""
    for name, value in vars(module).items():
        if not name.startswith("_") and name != "training" and _is_plain(value):
            yield name, value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _source(kind: type) -> str:
    """Return the source of a class; of one without any, such as one that was typed in, its methods' bytecode."""
    try:
        return textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        methods = sorted(
            (name, member.__code__.co_code.hex(), repr(member.__code__.co_consts), member.__code__.co_names)
            for name, member in vars(kind).items()
            if hasattr(member, "__code__")
        )
        return f"{kind.__module__}.{kind.__qualname__}: {methods}"


def _copied(network: nn.Module, name: str) -> nn.Module:
    try:
        return copy.deepcopy(network).cpu().eval()
    except Exception as error:
        raise ArchitectureError(
            where=f"architecture '{PREFIX}/{name}'",
            expected="a module that can be copied, so that nothing changes it behind the run's back",
            found=named_line(error),
            remedy="Save its weights and declare an architecture with `weights`, or register it as an entry point.",
        ) from error
