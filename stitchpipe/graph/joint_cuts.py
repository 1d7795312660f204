"""Joint cuts: several layers whose values together are all that the rest of a network needs.

Networks that run several branches side by side have no single cut for a large part of their depth. There, and only
there, joint cuts are looked for: at the ends of blocks and of branches, one for each twelfth of the depth that lies in
such a stretch.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol

from stitchpipe.graph.layer_info import LayerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

JOIN: Final = "+"
"""Between the layers of a joint cut in its name, as in ``branches.0+branches.1``."""

MOST: Final = 8
"""Layers of a joint cut: HRNet has four branches, a feature pyramid five levels; a dense block has dozens of values."""

PARTS: Final = 12
"""Parts of the depth, of which each gets at most one joint cut: four in each third."""

LONG: Final = 6
"""A stretch without a single cut is long where it is more than this part of the depth; a residual block is shorter."""

TOGETHER: Final = "together a cut: "
"""Before the name of a joint cut, where it is said why a layer is none."""

TRIES: Final = 3
"""Candidates that are looked at in each part."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A moment of the forward pass at which a block or branch ends, and the values that are needed behind it.

    Attributes
    ----------
    members
        Layers, in the order in which they are made.
    nesting
        How deep the module that ends there lies: 0 for one of the network's own children.
    """

    members: tuple[str, ...]
    nesting: int


class Joinable(Protocol):
    """A network of which joint cuts can be found, by its graph or by hooks."""

    def joint_candidates(self, names: Sequence[str], images: Tensor) -> list[Candidate]:
        """Return where blocks and branches end, and which of the layers `names` are needed behind."""
        ...

    def joint_trial(
        self, names: Sequence[str], images: Tensor
    ) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
        """Return what says which of a candidate's members the rest of the network runs from; none where it cannot."""
        ...


def members_of(name: str) -> tuple[str, ...]:
    """Return the layers of a joint cut by its name.

    >>> members_of("branches.0+branches.1")
    ('branches.0', 'branches.1')
    """
    return tuple(name.split(JOIN))


def joint_name(members: Sequence[str]) -> str:
    """Return the name of a joint cut."""
    return JOIN.join(members)


def boundaries(network: nn.Module) -> frozenset[str]:
    """Return the modules whose ends are boundaries of a network's structure: stages, blocks and branches.

    Those are modules with children that stand beside others of their class, and the network's own children. What a
    block consists of (its convolutions, its attention) stands alone in it, or has no children.
    """
    composite = {path: module for path, module in network.named_modules() if path and _has_children(module)}
    root = ""
    # Where all of a network is one module beside its head, that one's children are the stages.
    while len(own := [path for path in composite if path.rpartition(".")[0] == root]) == 1:
        root = own[0]
    kinds = {path: (path.rpartition(".")[0], type(module)) for path, module in composite.items()}
    alike = Counter(kinds.values())
    return frozenset(path for path, kind in kinds.items() if kind[0] == root or alike[kind] > 1)


def _has_children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def joint_cuts(network: Joinable, is_cut: Mapping[str, bool], images: Tensor) -> tuple[tuple[str, ...], ...]:
    """Return the members of the joint cuts of a network, in the order of its layers; none where nothing wants them.

    Of each part of the depth that lies in a long stretch without a single cut, the candidate with the fewest members is
    taken; of several the one whose module lies least deep, and of these the last.

    Parameters
    ----------
    is_cut
        All layers in execution order, and whether each is a single cut.
    images
        One or more, of the size that the network is run on.
    """
    stretches = _long_stretches(list(is_cut.values()))
    if not stretches:
        return ()
    place = {name: number for number, name in enumerate(is_cut)}
    parts: dict[int, list[Candidate]] = {}
    for candidate in network.joint_candidates(list(is_cut), images):
        last = place[candidate.members[-1]]
        if any(last in stretch for stretch in stretches):
            parts.setdefault(PARTS * last // len(place), []).append(candidate)
    if not parts:
        return ()
    held, best = network.joint_trial(list(is_cut), images), dict[int, tuple[str, ...]]()
    for part in sorted(parts):
        ranked = sorted(parts[part], key=lambda one: (len(one.members), one.nesting, -place[one.members[-1]]))
        several = list(dict.fromkeys(one.members for one in ranked))[:TRIES]
        members = next((members for one in several if len(members := held(one)) > 1), None)
        if members is not None:
            best[part] = members
    return tuple(dict.fromkeys(members for part, members in best.items() if not _is_peak(part, best)))


def _is_peak(part: int, best: Mapping[int, tuple[str, ...]]) -> bool:
    """Return whether more values are needed than in both parts beside: it lies inside a block."""
    around = [len(best[beside]) for beside in (part - 1, part + 1) if beside in best]
    return len(around) == 2 and len(best[part]) > max(around)


def _long_stretches(is_cut: Sequence[bool]) -> list[range]:
    """Return the places between neighbouring single cuts that lie far apart."""
    cuts = [-1, *(place for place, cut in enumerate(is_cut) if cut), len(is_cut)]
    return [
        range(before + 1, behind)
        for before, behind in pairwise(cuts)
        if LONG * (behind - before - 1) > len(is_cut)
    ]


def nearest(
    joint_cuts: Sequence[tuple[str, ...]], layers: Sequence[str], name: str
) -> tuple[str, ...] | None:
    """Return the joint cut that a layer is of, or the nearest to it in the order of layers; None of none."""
    if not joint_cuts:
        return None
    place = {layer: number for number, layer in enumerate(layers)}
    at = place.get(name, 0)
    return min(joint_cuts, key=lambda members: (name not in members, abs(place[members[-1]] - at)))


def no_joint_cut(members: Sequence[str], found: str, remedy: str) -> LayerError:
    """Return the error that says that some layers together are no cut."""
    return LayerError(
        where=f"joint cut '{joint_name(members)}'",
        expected="layers whose values together are all that the rest of the network needs, and none besides",
        found=found,
        remedy=remedy,
    )


def told_together(why_no_cut: str, name: str, joint: Sequence[tuple[str, ...]]) -> str:
    """Return why a layer is no cut, with the joint cut that it is of; an empty reason is that of a cut."""
    of = next((members for members in joint if name in members), None)
    return f"{why_no_cut}; {TOGETHER}{joint_name(of)}" if why_no_cut and of else why_no_cut


def near_cuts(single: Sequence[str], joint: Sequence[str] | None) -> str:
    """Return the cuts near a layer as a remedy."""
    told = f"Cuts near it: {', '.join(single)}." if single else "This network has no single cut near it."
    return f"{told} {TOGETHER.capitalize()}{joint_name(joint)}." if joint else told
