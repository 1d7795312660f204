"""Whether labels fit the samples they stand beside and the logits they are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    import numpy.typing as npt

    from storage import Representation


def labels_of(source: Representation) -> npt.NDArray[np.int64]:
    """Return the labels ``[n]`` of a representation's samples, in storage order.

    Raises
    ------
    StitchError
        The split was added without labels.
    """
    labels = source.split.labels
    if labels is None:
        raise _missing(str(source.address), source.n_samples, "none")
    return np.asarray(labels, dtype=np.int64)


def check_labels(labels: npt.NDArray[np.int64], source: Representation) -> None:
    """Refuse labels that are not one whole number per sample.

    Raises
    ------
    StitchError
        Another count, another shape, or not whole numbers.
    """
    if labels.shape != (source.n_samples,):
        raise _missing(str(source.address), source.n_samples, f"labels of shape {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise _missing(str(source.address), source.n_samples, f"labels of type {labels.dtype}")


def _missing(where: str, n_samples: int, found: str) -> StitchError:
    return StitchError(
        where=where,
        expected=f"{n_samples} labels, one whole number per sample in the order of the store",
        found=found,
        remedy="Stitched networks are trained and judged on labels: add the split with them.",
    )
