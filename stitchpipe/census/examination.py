"""One network looked at: its layers and cuts, the tail behind each of some cuts, and what is captured of its layers."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch
from torch import Tensor, nn

from stitchpipe.census.cheap_weights import judged_images, random_images
from stitchpipe.census.difference import are_alike, relative_difference
from stitchpipe.census.row import THIRDS, TOLERANCE, Row
from stitchpipe.census.small_networks import UnreachedError, small
from stitchpipe.errors import named_line
from stitchpipe.graph import Inspection, LayerInfo, extractor, inspect, joint_name, opened, tails
from stitchpipe.graph.answers import answer_of
from stitchpipe.graph.layout import channels_first

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from stitchpipe.census.small_networks import Small
    from stitchpipe.census.subjects import Subject

T = TypeVar("T")

MOST: Final = 9
"""Cuts that are tested of a network, and as many joint cuts."""


def examined(subject: Subject) -> Row:
    """Return what is found out about a network; whatever goes wrong is its row's reason."""
    row = Row(name=subject.name, library=subject.library, family=subject.family, outcome="not reached")
    try:
        network = small(subject)
    except UnreachedError as error:
        return replace(row, reason=str(error))
    row = replace(
        row,
        network=type(network.network).__name__,
        parameters=sum(parameter.numel() for parameter in network.network.parameters()),
        reduced=network.reduced,
        image=network.shape,
        signature=_signature(network.network),
    )
    try:
        return _examined(row, network)
    except Exception as error:  # noqa: BLE001 - the census goes on, and its row says what happened
        return replace(row, outcome="not split", reason=named_line(error))


@torch.inference_mode()
def _examined(row: Row, small: Small) -> Row:
    network, images = small.network, judged_images(small.shape)
    example = random_images(small.shape, 1, seed=3)  # not one of the images that the tails are held against
    whole = answer_of(network(images))
    if not torch.isfinite(whole).all():  # nothing can be held against it
        return replace(row, outcome="not split", reason="its random weights give answers that are not finite")
    reached = opened(network)
    inspection = inspect(reached, example)
    modules = [info for info in inspection.layers if not info.is_function]
    row = replace(
        row,
        answer="logits" if inspection.has_logits else "features",
        traced_by=inspection.traced_by,
        by_hooks=inspection.by_hooks,
        layers=len(modules),
        cuts=sum(info.is_cut for info in modules),
        cuts_by_third=by_third(inspection.layers, functions=False),
        functions_by_third=by_third(inspection.layers, functions=True),
        joint_cuts=len(inspection.joint_cuts),
        joint_by_third=joint_by_third(inspection),
    )
    chosen = _chosen(inspection.layers)
    together = {joint_name(members): members for members in spread(inspection.joint_cuts)}
    members = chain.from_iterable(together.values())
    names = dict.fromkeys((*(info.name for info in modules), *chosen, *members))
    values = extractor(reached, list(names))(images)
    row = _captured(row, values, _hooked(network, images), modules)
    differences = {}
    for name, behind in tails(reached, [*chosen, *together], example=example):
        given = {layer: values[layer] for layer in together[name]} if name in together else values[name]
        differences[name] = relative_difference(answer_of(behind(given)), whole)
        del behind  # before the next tail is made
        gc.collect()  # graphs hold their networks in cycles
    row = _cut(row, differences, together)
    why = _why_not_split(row, inspection.layers, whole)
    return replace(row, outcome="not split" if why else "split", reason=why)


def by_third(layers: Sequence[LayerInfo], *, functions: bool) -> tuple[int, ...]:
    """Return how many cuts lie in the first, the middle and the last third of a network's layers."""
    places = Counter(
        _third(place, layers)
        for place, info in enumerate(layers)
        if info.is_cut and info.is_function == functions
    )
    return tuple(places[third] for third in range(len(THIRDS)))


def joint_by_third(inspection: Inspection) -> tuple[int, ...]:
    """Return how many joint cuts lie in each third of a network's layers, as the last layer of each does."""
    place = {info.name: number for number, info in enumerate(inspection.layers)}
    places = Counter(_third(place[members[-1]], inspection.layers) for members in inspection.joint_cuts)
    return tuple(places[third] for third in range(len(THIRDS)))


def _third(place: int, layers: Sequence[LayerInfo]) -> int:
    return len(THIRDS) * place // len(layers)


def _chosen(layers: Sequence[LayerInfo]) -> list[str]:
    """Return the cuts to test: modules' outputs, and of a third that has none, functions'."""
    chosen = spread([info.name for info in layers if info.is_cut and not info.is_function])
    for third, cuts in enumerate(by_third(layers, functions=False)):
        if not cuts:
            functions = [
                info.name
                for place, info in enumerate(layers)
                if info.is_cut and _third(place, layers) == third
            ]
            chosen += spread(functions, MOST // len(THIRDS))
    return chosen


def spread(names: Sequence[T], most: int = MOST) -> list[T]:
    """Return at most some of the names, evenly spaced, the first and the last among them.

    >>> spread(list("abcdefg"), 3)
    ['a', 'd', 'g']
    """
    if len(names) <= most:
        return list(names)
    return [names[round(place * (len(names) - 1) / (most - 1))] for place in range(most)]


def _captured(
    row: Row, values: Mapping[str, Tensor], seen: Mapping[str, Tensor], modules: Sequence[LayerInfo]
) -> Row:
    """Hold what an extractor captured of every layer against what plain hooks copied."""
    wrong = []
    for info in modules:
        plain = seen[info.name]
        plain = channels_first(plain) if info.channels_last else plain
        if not relative_difference(values[info.name], plain) <= TOLERANCE:
            wrong.append(info.name)
    return replace(row, captured=len(modules), miscaptured=tuple(wrong))


def _hooked(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return a copy of every tensor that a module returns, by path; of a second call by ``path:1``.

    Written anew and in the plainest way, because it judges the hooks that captures are made with.
    """
    copies: dict[str, Tensor] = {}

    def keep(path: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            parts = output if isinstance(output, tuple | list) else [output]
            tensors = [part for part in parts if isinstance(part, Tensor)]
            if len(tensors) == 1:  # what a layer is: a tensor, or a tuple of one and of sizes or None
                name, number = path, 0
                while name in copies:
                    number += 1
                    name = f"{path}:{number}"
                copies[name] = tensors[0].clone()

        return hook

    handles = [module.register_forward_hook(keep(path)) for path, module in network.named_modules() if path]
    network(images)
    for handle in handles:
        handle.remove()
    return copies


def _cut(row: Row, differences: Mapping[str, float], together: Collection[str] = ()) -> Row:
    """Note how far the answers of tails are from the whole network's; `together` are the joint cuts among them."""
    exact = [name for name, difference in differences.items() if difference == 0]
    return replace(
        row,
        tested=len(differences) - len(together),
        exact=sum(name not in together for name in exact),
        joint_tested=len(together),
        joint_exact=sum(name in together for name in exact),
        largest_difference=min(max(differences.values(), default=0.0), sys.float_info.max),
        mismatches=tuple(name for name, difference in differences.items() if not difference <= TOLERANCE),
    )


def _why_not_split(row: Row, layers: Sequence[LayerInfo], whole: Tensor) -> str:
    """Return what is missing that a network counts as split; empty where nothing is."""
    if are_alike(whole):
        return "its random weights answer all images alike"
    if row.mismatches:
        return (
            f"the tail behind {row.mismatches[0]} gives other answers, by up to {row.largest_difference:.1e}"
        )
    if row.miscaptured:
        return f"what is captured of {row.miscaptured[0]} is not what a hook copies"
    empty = row.thirds_without(joint=True)
    if not empty:
        return ""
    number = THIRDS.index(empty[0])
    reasons = Counter(
        info.why_no_cut
        for place, info in enumerate(layers)
        if _third(place, layers) == number and info.why_no_cut
    )
    most = f": {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"no cut in the {' and '.join(empty)} third of its depth{most}"


def _signature(network: nn.Module) -> str:
    shapes = sorted((name, tuple(tensor.shape)) for name, tensor in network.state_dict().items())
    return sha256(repr(shapes).encode()).hexdigest()[:16]
