"""What permuted images say of numbers that come from moments: laid beside them, pair by pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from stitchpipe.engine import PairNumbers

COLUMNS: Final = (
    "p_value",
    "calibrated",
    "null_samples",
    "p_family",
    "p_by",
    "calibrated_family",
    "null_gap",
)
"""What a null, and the nulls of its family, say of a number, as it stands beside it."""
OF_ALL_IMAGES: Final = ("p_closed", "null_moments")
"""What a closed form says with three exact moments, where the images that were permuted are all that there are."""


class Nulls:
    """The nulls of indices under the views of a comparison, each as a matrix of layers by layers.

    Parameters
    ----------
    numbers
        With what their null says among the extras.
    n_layers
        Of the comparison.
    """

    def __init__(self, numbers: Iterable[PairNumbers], n_layers: int) -> None:
        self._matrices: dict[tuple[str, str, str], npt.NDArray[np.float64]] = {}
        for of_view in numbers:
            for code, name in enumerate(of_view.names):
                here = of_view.index == code
                sources, targets = of_view.pairs[here].T
                for column in (*COLUMNS, *OF_ALL_IMAGES):
                    if column in of_view.extras:
                        matrix = self._matrices.setdefault(
                            (of_view.view, name, column), np.full((n_layers, n_layers), np.nan)
                        )
                        matrix[sources, targets] = of_view.extras[column][here]

    def beside(self, numbers: PairNumbers) -> PairNumbers:
        """Return numbers with what the null of the same index and pair says of them.

        A number without a value has nothing that a null could be held against.
        """
        extras = dict(numbers.extras)
        for code, name in enumerate(numbers.names):
            here = (numbers.index == code) & ~np.isnan(numbers.values)
            sources, targets = numbers.pairs[here].T
            images = self._matrices.get((numbers.view, name, "null_samples"))
            is_whole = images is not None and bool(
                (images[sources, targets] == numbers.n_samples[here]).any()
            )
            for column in (*COLUMNS, *(OF_ALL_IMAGES if is_whole else ())):
                matrix = self._matrices.get((numbers.view, name, column))
                if matrix is not None:
                    beside = extras.get(column, np.full(len(numbers), np.nan)).copy()
                    told = matrix[sources, targets]
                    # A layer that is flat to rounding in one of both forms keeps what the other says.
                    beside[here] = np.where(
                        np.isnan(told) & np.isin(column, OF_ALL_IMAGES), beside[here], told
                    )
                    extras[column] = beside
        return numbers.with_columns(extras=extras)
