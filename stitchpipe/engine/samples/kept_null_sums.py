"""What the closed-form null of an index over images needs of a layer: formed once, in time n³, and kept."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np
from threadpoolctl import threadpool_limits

from stitchpipe.algebra.certainty import NullSums
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.engine.samples.kept_images import kept_gram
from stitchpipe.registry import index_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.algebra import Index
    from stitchpipe.engine.samples.image_comparison import ImageComparison
    from stitchpipe.rows import View

NULL: Final = "null"
"""The kind of summaries that are kept."""
_NUMBERS: Final = 9


def closed_indices(comparison: ImageComparison, view: View) -> list[Index]:
    """Return the indices over images of a view whose null has a closed form: none where images come in groups."""
    if comparison.split.groups is not None:
        return []
    indices = map(index_named, comparison.indices[view])
    return [index for index in indices if index.measure.closed_null]


def keep_null_sums(comparison: ImageComparison, layer: int, view: View) -> None:
    """Keep the sums of a layer whose images are kept, for each index that needs them; those that are there stay."""
    missing = [
        index
        for index in closed_indices(comparison, view)
        if not comparison.summaries.has(NULL, _key(comparison, layer, view, index))
    ]
    if not missing:
        return
    gram = kept_gram(comparison, view, layer)
    with threadpool_limits(limits=1):
        # An index that is another under a second name has the same key, and the first to be written stays.
        for index in missing:
            numbers = np.full(_NUMBERS, np.nan)
            if index.of_gram is not None and gram.n > 1:
                with suppress(UndefinedIndexError):  # its pairs say why they have no number
                    numbers = NullSums.of_matrix(index.of_gram(gram).whole).numbers
            comparison.summaries.write(NULL, _key(comparison, layer, view, index), {"numbers": numbers}, {})


def kept_null_sums(comparison: ImageComparison, layers: Sequence[int], view: View, index: Index) -> NullSums:
    """Return what is kept of some layers, ``[L]`` each."""
    numbers = [
        comparison.summaries.read(NULL, _key(comparison, layer, view, index)).arrays["numbers"]
        for layer in layers
    ]
    return NullSums.of_numbers(comparison.n_images, np.stack(numbers))


def _key(comparison: ImageComparison, layer: int, view: View, index: Index) -> str:
    return f"{comparison.key(layer, view)}-{index.measure.equals or index.name}"
