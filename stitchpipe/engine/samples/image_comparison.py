"""What a comparison over images is given: layers, the images that count, and which indices need them.

Kernels, neighbours and dissimilarities of samples cannot be merged row by row, so they rest on the first `MOST_IMAGES`
images of a split, which are a random choice: row groups are dealt by a hash of the sample. The image is the unit; views
with several rows per image have no such index and no null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from stitchpipe.algebra.samples import MOST_IMAGES
from stitchpipe.engine.keys import images_key, images_work_key
from stitchpipe.engine.numbers import PairNumber
from stitchpipe.engine.reading import open_layer
from stitchpipe.registry import index_measure, index_named
from stitchpipe.rows import View, width_of
from storage import Address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.algebra import Index
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.engine.planning.tiles import Pair
    from stitchpipe.measures import Number
    from storage import Representation, Store, Summaries


def indices_of_images(
    view: View, names: Sequence[str], layers: Sequence[LayerShape], n_images: int
) -> tuple[str, ...]:
    """Return those of some indices whose values are computed from images and not from moments.

    Besides the indices over samples and minibatches that is linear CKA of flattened layers, where any of them has
    more features than there are images: its moments would be larger than its Gram.
    """
    wide = view == "flatten" and any(width_of(layer.shape, view) > n_images for layer in layers)
    return tuple(
        name
        for name in names
        if index_measure(name).computed_from in ("samples", "minibatches")
        or (wide and index_named(name).of_gram is not None)
    )


def by_scores(view: View, index: Index) -> bool:
    """Return whether the null of an index comes from principal scores, as those of all linear indices at once do.

    Flattened layers are kept as Grams: what has a form in these, as linear CKA has, is computed by it there.
    """
    return index.linear_null is not None and (view == "pooled" or index.of_gram is None)


Named: TypeAlias = "tuple[View, Pair, str]"
"""An index of a pair under a view."""


@dataclass(frozen=True)
class ImagesJob:
    """What every task over images is given.

    Attributes
    ----------
    store
        None where activations were never kept, and whoever ran the networks left what is needed of them.
    layers, split
        The split is the one scored: the last of each layer's fingerprints is its.
    indices
        By view, those over samples and those of moments that get a null.
    permutations
        Of the null, and 0 for none.
    """

    store: Store | None
    summaries: Summaries
    layers: tuple[LayerShape, ...]
    split: SplitShape
    indices: Mapping[View, tuple[str, ...]]
    permutations: int

    @property
    def n_images(self) -> int:
        """Return how many images the indices over samples rest on."""
        return min(MOST_IMAGES, self.split.n_samples)

    def reader(self, index: int) -> Representation:
        """Open a layer on the scored split."""
        layer = self.layers[index]
        address = Address(self.split.dataset, self.split.name, layer.model, layer.layer)
        return open_layer(self.store, address, layer.fingerprints[-1])

    def key(self, index: int, view: View) -> str:
        """Return the key of what is kept of a layer's images."""
        return images_key(self.layers[index], view, self.n_images)

    def number(
        self, view: View, pair: Pair, index: str, number: Number, images: int | None = None
    ) -> PairNumber:
        """Return a record of a number that was computed from so many images; default: those of samples."""
        p, q = (width_of(self.layers[layer].shape, view) for layer in pair)
        n = self.n_images if images is None else images
        return PairNumber(view=view, pair=pair, index=index, number=number, n_samples=n, n_rows=n, p=p, q=q)

    def work_key(self, view: View, what: str, leaf: int) -> str:
        """Return the key under which work in progress on a leaf's images is kept."""
        return images_work_key(self.layers, self.split, view, what, leaf)
