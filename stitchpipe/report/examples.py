"""Example images for the page: which of a few each layer has nearest to some of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.report.matrices import Layer

MOST_BYTES: Final = 400_000
"""What the pictures may take of the page; a page without them is not missing anything that a run is asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """A few test images, by their places.

    Attributes
    ----------
    pictures
        Each as PNG.
    names
        What each is: its id, and its class where it has one.
    asked
        How many of them, from the first on, others are nearest to.
    nearest
        Of each layer, by model and name: for each image that is asked about the places of the nearest others.
    """

    pictures: Sequence[bytes]
    names: Sequence[str]
    asked: int
    nearest: Mapping[tuple[str, str], Sequence[Sequence[int]]]


def shown_examples(examples: Examples | None, axis: Sequence[Layer]) -> dict[str, Any] | None:
    """Return what the page is told of them: the pictures that some layer has use for, and how large they are.

    None where there are none, none of the layers on the axis has any, or they would take more than `MOST_BYTES`.
    """
    if examples is None:
        return None
    nearest = [examples.nearest.get((layer.model, layer.layer)) for layer in axis]
    named = {place for of_layer in nearest if of_layer for places in of_layer for place in places}
    used = sorted({*range(examples.asked), *named})
    pictures = [base64.b64encode(examples.pictures[place]).decode() for place in used]
    n_bytes = sum(map(len, pictures))
    if not named or n_bytes > MOST_BYTES:
        return None
    number = {place: k for k, place in enumerate(used)}
    return {
        "pictures": pictures,
        "names": [examples.names[place] for place in used],
        "asked": examples.asked,
        "among": len(examples.pictures),
        "bytes": n_bytes,
        "nearest": [
            of_layer and [[number[place] for place in places] for places in of_layer] for of_layer in nearest
        ],
    }
