"""Whether labels are classes of the target network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def check_classes(labels: npt.NDArray[np.int64], classes: int) -> None:
    """Refuse labels that no logit of the target network stands for.

    Raises
    ------
    StitchError
        A label is negative, or at least `classes`.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise StitchError(
            where="labels",
            expected=f"classes from 0 to {classes - 1}, one per logit of the target network",
            found=f"classes from {low} to {high}",
            remedy="Stitch into a network that was trained on these classes.",
        )
