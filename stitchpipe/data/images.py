"""One split of an image data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class DataError(ExplainedError, ValueError):
    """A data set is missing, or not laid out as expected."""


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Images with ids and labels, in the data set's own order.

    Attributes
    ----------
    fetch
        Positions → float32 images ``(n, C, H, W)``, preprocessed; deterministic.
    labels
        ``[n]``, int64, indices of `class_names`.
    sample_ids
        One per image, unique.
    digest
        SHA-256 over ids, labels and unprocessed pixels.
    preprocessing
        What was done to the pixels, as recorded with every activation.
    """

    dataset: str
    name: str
    fetch: Callable[[Sequence[int]], Tensor]
    labels: npt.NDArray[np.int64]
    sample_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    digest: str
    preprocessing: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.sample_ids)

    def batch(self, positions: Sequence[int]) -> Tensor:
        """Return the images at `positions`: float32, ``(n, C, H, W)``."""
        return self.fetch(positions)


def digest_of(sample_ids: Sequence[str], labels: npt.NDArray[np.int64], pixels: Iterable[bytes]) -> str:
    """Return SHA-256, in hex, over ids, labels and the images' bytes in order, each behind its length."""
    digest = hashlib.sha256()
    parts = (sample_id.encode() for sample_id in sample_ids)
    for part in chain(parts, [np.ascontiguousarray(labels, dtype="<i8").tobytes()], pixels):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def check_normalisation(mean: Sequence[float] | None, std: Sequence[float] | None, *, channels: int) -> None:
    """Refuse lists of another length than the channels, and deviations that are not positive."""
    for name, values in (("mean", mean), ("std", std)):
        if values is not None and len(values) not in {1, channels}:
            raise DataError(
                where=f"data.{name}",
                expected=f"one value, or one per channel ({channels})",
                found=f"{len(values)} values",
                remedy="Correct the list.",
            )
    if std is not None and not all(value > 0 for value in std):
        raise DataError(
            where="data.std",
            expected="positive standard deviations",
            found=str(list(std)),
            remedy="Correct the list.",
        )


def normalised(images: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Return ``(images − mean) / std`` per channel; images are in [0, 1]."""
    if mean is not None:
        images = images - torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1)
    if std is not None:
        images = images / torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1)
    return images
