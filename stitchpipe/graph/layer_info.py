"""What is known of a layer, and how layers are chosen by name."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError, nearest
from stitchpipe.rows import grid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.rows import Grid


PENULTIMATE = "penultimate"
"""Stands for what the network's last linear layer takes, whatever its name."""


class LayerError(ExplainedError, ValueError):
    """No such layer, or a layer that cannot be used that way."""


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer: the output of a module call, or of a function inside a module.

    Attributes
    ----------
    name
        The module's path; ``path:1`` for its second call. Of a function ``path.function``, ``path.function_1``, ….
    shape
        Of one sample: ``(C, H, W)``, ``(T, D)`` or ``(D,)``, channels first whatever the network does.
    is_cut
        Whether this value alone crosses to the rest of the network, so that the rest can run from it.
    tokens
        The grid of ``(T, D)`` where its patches are not those of a square.
    channels_last
        Whether the network itself holds the value as ``(H, W, C)``.
    is_function
        Whether it is a function's output; globs do not match those.
    why_no_cut
        The reason; empty of a cut. Of a layer of a joint cut it ends with the name of that.
    by_hooks
        Why forward hooks had to be used; empty where torch.fx traced the network.
    """

    name: str
    shape: tuple[int, ...]
    is_cut: bool
    tokens: Grid | None = None
    channels_last: bool = False
    is_function: bool = False
    why_no_cut: str = ""
    by_hooks: str = ""

    @property
    def grid(self) -> Grid:
        """Return the grid of its positions."""
        return grid_of(self.shape, self.tokens)


def select(known: Sequence[LayerInfo], globs: Sequence[str]) -> list[str]:
    """Return the names that match any of `globs`, in the network's order.

    As in a shell, except that ``*`` and ``?`` also match dots: ``layer?.?`` is every block of a ResNet,
    ``layer*`` also what is inside them. A function's output is chosen by its exact name alone.

    Raises
    ------
    LayerError
        A glob matches nothing; the nearest names are given.
    """
    chosen: set[str] = set()
    for glob in globs:
        hits = matching(known, glob)
        if not hits:
            names = [info.name for info in known if not info.is_function]
            raise LayerError(
                where=f"layer glob '{glob}'",
                expected="at least one layer of the network",
                found="none",
                remedy=suggestion(glob, names),
            )
        chosen.update(hits)
    return [info.name for info in known if info.name in chosen]


def matching(known: Sequence[LayerInfo], glob: str) -> list[str]:
    """Return the names that match a glob as in `select`, in the network's order; there may be none."""
    return [info.name for info in known if _matches(info, glob)]


def not_behind(layer: str, name: str) -> LayerError:
    """Return the error that says that a tail does not run through a layer."""
    return LayerError(
        where=f"layer '{layer}'",
        expected=f"a layer behind '{name}'",
        found="one before it",
        remedy="Take a layer that the tail runs through.",
    )


def without_linear(network: object) -> LayerError:
    """Return the error that says that there is no last linear layer."""
    return LayerError(
        where=type(network).__name__,
        expected="a network that ends in a linear layer",
        found="none",
        remedy="Choose another objective than matching at the penultimate layer.",
    )


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return the known names nearest to `name`, or the first dozen of them, as a remedy."""
    return nearest(name, known, most=3) or f"Layers are {listed(known)}."


def listed(names: Sequence[str]) -> str:
    """Return the first dozen of some names, for a message."""
    return ", ".join(names[:12]) + (", …" if len(names) > 12 else "")


def _matches(info: LayerInfo, glob: str) -> bool:
    return info.name == glob or (not info.is_function and fnmatch.fnmatchcase(info.name, glob))
