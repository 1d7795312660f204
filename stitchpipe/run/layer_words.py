"""Which layers a word stands for: ``all``, ``cuts``, ``blocks``, ``stages``, and how many of them, evenly spaced.

What a word means follows from names, shapes and cuts alone, as they stand in the record of an inspection, so that no
network is built for it.

- ``all``: every layer that a glob can choose.
- ``cuts``: those whose value is all that the rest of the network needs. Where a module hands on what its last module
  gave (``layer1.0.relu:1``, ``layer1.0``), it is counted once: as a block if one of them is one, otherwise as the
  outermost.
- ``blocks``: the innermost modules with modules inside that come in numbers, and of which, as a kind, at least three
  quarters are cuts. A kind is a path without its numbers: ``layer#.#``, ``blocks.#``, ``inception#``. In residual
  networks and transformers these are the residual blocks: inside of one, a residual crosses. A network without any has
  its stages.
- ``stages``: of the blocks, or the cuts of a network without blocks, the last one before the shape changes: the width,
  or the grid of positions. Values without positions are left out, unless there are no others.

Behind a colon stands the most layers that there may be: as many are taken at even distances in the network's order,
the first and the last among them; of one layer alone, the last.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Final

from stitchpipe.config import layer_word

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from stitchpipe.graph import LayerInfo

VERSION: Final = 1
"""Stands in keys beside each word; raised when the same word would choose other layers of the same network."""
_NUMBER: Final = re.compile(r"\d+[a-z]?(?![a-z0-9])")
"""A number, with the letter behind it in ``inception4b``."""


def meant(word: str, known: Sequence[LayerInfo], among: Collection[str] | None = None) -> list[LayerInfo]:
    """Return the layers that a word stands for, in the network's order; none where there are no such layers.

    Parameters
    ----------
    word
        ``blocks``, ``cuts:10``.
    known
        All layers of the network, those of functions too.
    among
        Names of the layers that may be chosen, such as those that are dumped; default: all.
    """
    parts = layer_word(word)
    if parts is None:
        raise ValueError(f"{word!r} is no word for layers")
    kind, count = parts
    modules = [info for info in known if not info.is_function]
    match kind:
        case "all":
            chosen = modules
        case "cuts":
            chosen = _cuts(known)
        case "blocks":
            chosen = _blocks(known) or _stages(known)
        case _:
            chosen = _stages(known)
    if among is not None:
        allowed = set(among)
        # What was dumped may be another name of the same value, as a block is of its last module's.
        chosen = [info for info in chosen if info.name in allowed] or [
            info for info in modules if kind == "cuts" and info.is_cut and info.name in allowed
        ]
    return chosen if count is None else _spaced(chosen, count)


def keyed(layers: Sequence[str]) -> list[str]:
    """Return a choice of layers as it stands in keys: words with the version of what they mean."""
    return [layer if layer_word(layer) is None else f"{layer}~{VERSION}" for layer in layers]


def _spaced(layers: Sequence[LayerInfo], count: int) -> list[LayerInfo]:
    """Return at most `count` layers at even distances, the first and last among them."""
    last = len(layers) - 1
    if count > last:
        return list(layers)
    if count == 1:
        return [layers[-1]]
    return [layers[(2 * place * last + count - 1) // (2 * (count - 1))] for place in range(count)]


def _blocks(known: Sequence[LayerInfo]) -> list[LayerInfo]:
    """Return the innermost members of the kinds that come in numbers and are cuts; see the module."""
    parents = {path for info in known for path in _above(info.name)}
    kinds: dict[str, list[LayerInfo]] = defaultdict(list)
    for info in known:
        last = info.name.rpartition(".")[2]
        if not info.is_function and info.name in parents and _NUMBER.search(last):
            kinds[_NUMBER.sub("#", info.name)].append(info)
    blocks = {
        info.name
        for members in kinds.values()
        if len(members) > 1 and 4 * sum(info.is_cut for info in members) >= 3 * len(members)
        for info in members
        if info.is_cut
    }
    around = {path for name in blocks for path in _above(name)}
    return [info for info in known if info.name in blocks - around]


def _cuts(known: Sequence[LayerInfo]) -> list[LayerInfo]:
    """Return the cuts, of those that are one value under several names one."""
    blocks = {info.name for info in _blocks(known)}
    chosen: list[LayerInfo] = []
    before: LayerInfo | None = None
    for info in known:
        if info.is_cut and not info.is_function:
            if before is not None and chosen and _hands_on(info, before):
                if chosen[-1].name not in blocks:
                    chosen[-1] = info
            else:
                chosen.append(info)
        before = info
    return chosen


def _hands_on(module: LayerInfo, before: LayerInfo) -> bool:
    """Whether a module's value is that of the layer listed before it, which is inside of it."""
    is_value = before.is_cut and not before.is_function and module.shape == before.shape
    return is_value and before.name.startswith(f"{module.name}.")


def _stages(known: Sequence[LayerInfo]) -> list[LayerInfo]:
    """Return the last block before each change of shape; of cuts or of all layers where there are no blocks."""
    modules = [info for info in known if not info.is_function]
    layers = _blocks(known) or _cuts(known) or modules
    spread = [info for info in layers if _positions(info.shape) > 1] or layers
    return [list(run)[-1] for _, run in groupby(spread, key=lambda info: info.shape)]


def _positions(shape: tuple[int, ...]) -> int:
    """Return how many positions or tokens a sample has."""
    return prod(shape[1:]) if len(shape) == 3 else shape[0] if len(shape) == 2 else 1


def _above(name: str) -> list[str]:
    """Return the paths of the modules that a layer is inside of."""
    steps = name.split(".")
    return [".".join(steps[:depth]) for depth in range(1, len(steps))]
