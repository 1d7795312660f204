"""One split of an image data set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
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
        ``[n]``, int64, class numbers from 0; None where the data have none.
    sample_ids
        One per image, unique.
    class_names
        Name of each class number, or empty where they are not known.
    digest
        SHA-256 over ids, labels and unprocessed pixels.
    preprocessing
        What was done to the pixels, as recorded with every activation.
    contents
        A digest of each image's unprocessed bytes, by which copies are known; empty where they were not looked at.
    remarks
        How many images were changed, are copies, or were left out, in words.
    groups
        What each image belongs to, such as a subject or a source image; None where each is on its own.
    """

    dataset: str
    name: str
    fetch: Callable[[Sequence[int]], Tensor]
    labels: npt.NDArray[np.int64] | None
    sample_ids: tuple[str, ...]
    class_names: tuple[str, ...]
    digest: str
    preprocessing: Mapping[str, Any]
    contents: tuple[bytes, ...] = field(default=(), repr=False)
    remarks: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def n_classes(self) -> int | None:
        """Return the number of classes: of their names, else up to the highest label; None without either."""
        if self.class_names:
            return len(self.class_names)
        return None if self.labels is None else int(self.labels.max()) + 1

    def required_labels(self, purpose: str) -> npt.NDArray[np.int64]:
        """Return the labels; `DataError` that says what they are needed for where there are none."""
        if self.labels is None:
            raise DataError(
                where=f"data set '{self.dataset}', split '{self.name}'",
                expected=f"labels, for {purpose}",
                found="images without them",
                remedy="Give the data labels, or only dump and compare.",
            )
        return self.labels

    def batch(self, positions: Sequence[int]) -> Tensor:
        """Return the images at `positions`: float32, ``(n, C, H, W)``."""
        return self.fetch(positions)


def digest_of(
    sample_ids: Sequence[str],
    labels: npt.NDArray[np.int64] | None,
    pixels: Iterable[bytes],
    groups: Sequence[str] | None = None,
) -> str:
    """Return SHA-256, in hex, over ids, labels and the images' bytes in order, each behind its length.

    One image's bytes are held at a time. No labels count as labels of no bytes; groups count where there are some.
    """
    digest = hashlib.sha256()
    parts = (sample_id.encode() for sample_id in sample_ids)
    numbers = b"" if labels is None else np.ascontiguousarray(labels, dtype="<i8").tobytes()
    of_groups = (group.encode() for group in groups or ())
    for part in chain(parts, [numbers], pixels, of_groups):
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
