"""What a comparison over images is given: layers, the images that count, and which indices need them.

Kernels, neighbours and dissimilarities of samples cannot be merged row by row, so they rest on the first `MOST_IMAGES`
images of a split, which are a random choice: row groups are dealt by a hash of the sample. The image is the unit; views
with several rows per image have no such index and no null.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.engine.keys import images_key, images_work_key
from stitchpipe.engine.numbers import PairNumber, PairNumbers
from stitchpipe.engine.samples.families import Families

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from stitchpipe.engine.numbers import Float64, Int32, Note
    from stitchpipe.engine.planning.comparison import Comparison, FamilyKind
    from stitchpipe.engine.planning.pairs import Pair
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from stitchpipe.engine.resources import TaskResources
    from stitchpipe.measures import Number
    from stitchpipe.rows import View
    from storage import Representation, Summaries


@dataclass(frozen=True)
class ImageComparison:
    """What every task over images is given. Picklable.

    Attributes
    ----------
    layers, split
        The split is the one scored: the last of each layer's fingerprints is its.
    indices
        By view, those over samples and those of moments that get a null.
    permutations
        Of the null, and 0 for none.
    family
        Which pairs make one claim together; None where each stands for itself alone.
    """

    resources: TaskResources
    layers: tuple[LayerShape, ...]
    split: SplitShape
    indices: Mapping[View, tuple[str, ...]]
    permutations: int
    family: FamilyKind | None = None

    @classmethod
    def of(cls, comparison: Comparison, resources: TaskResources) -> Self:
        """Return the part of a comparison that is carried out over images."""
        return cls(
            resources,
            comparison.layers,
            comparison.splits[-1],
            comparison.over_images,
            comparison.drawn,
            comparison.family,
        )

    @cached_property
    def families(self) -> Families:
        """Return the families of the layers' pairs: none where nothing is permuted."""
        kind = self.family if self.permutations else None
        return Families(kind, tuple(layer.model for layer in self.layers))

    @property
    def summaries(self) -> Summaries:
        """Return the folder where images, and sums over batches, are left."""
        return self.resources.summaries

    @property
    def n_images(self) -> int:
        """Return how many images the indices over samples rest on."""
        return self.split.n_images

    @property
    def exchanged(self) -> tuple[tuple[int, int], ...] | None:
        """Return ``(start, stop)`` of the groups that nulls exchange; None where they exchange images, or nothing."""
        return self.split.image_groups if self.permutations else None

    def reader(self, index: int) -> Representation:
        """Open a layer on the scored split."""
        layer = self.layers[index]
        return self.resources.open(layer, self.split, layer.fingerprints[-1])

    def key(self, index: int, view: View) -> str:
        """Return the key of what is kept of a layer's images."""
        return images_key(self.layers[index], view, self.n_images)

    def number(
        self, view: View, pair: Pair, index: str, number: Number, images: int | None = None
    ) -> PairNumber:
        """Return a record of a number that was computed from so many images; default: those of samples."""
        n = self.n_images if images is None else images
        return PairNumber(view=view, pair=pair, index=index, number=number, n_samples=n, n_rows=n)

    def numbers(
        self, view: View, index: str, pairs: Int32, values: Float64, notes: Sequence[Note]
    ) -> PairNumbers:
        """Return what was computed of an index of pairs ``[n, 2]`` from the images of samples."""
        known = tuple(dict.fromkeys(notes))
        n = np.full(len(pairs), self.n_images)
        return PairNumbers(
            view=view,
            pairs=pairs,
            names=(index,),
            index=np.zeros(len(pairs), np.int16),
            values=values,
            notes=known,
            note=np.array([known.index(note) for note in notes], np.int32),
            extras={},
            n_samples=n,
            n_rows=n,
        )

    def work_key(self, view: View, what: str, leaf: int) -> str:
        """Return the key under which work in progress on a leaf's images is kept."""
        return images_work_key(self.layers, self.split, view, what, leaf)
