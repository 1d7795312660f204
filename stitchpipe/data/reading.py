"""From unprocessed images to a split: which of them, what is done to their pixels, and the digest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stitchpipe.data.groups import groups_of, whole_groups
from stitchpipe.data.image_traits import Tally
from stitchpipe.data.images import DataError, ImageSplit, check_normalisation, digest_of, normalised
from stitchpipe.data.pixels import SCALES, Pixels, resized, scaled, with_channels
from stitchpipe.utf8 import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class ImageSource(Protocol):
    """Unprocessed images by position; the same position always gives the same image."""

    def pixels(self, position: int) -> Pixels:
        """Return an image, ``(H, W, C)``, uint8, uint16 or float32."""

    def raw(self, position: int) -> bytes:
        """Return what the digest covers of an image: its file, or its pixels with their shape and type."""

    def where(self, position: int) -> str:
        """Return what an error names."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Which images of a data set are read, and what is done to their pixels.

    Attributes
    ----------
    limit
        At most this many images of each split, spread evenly over the classes (where there are labels).
    seed
        Of the choice under `limit`.
    size
        Resize to `size` × `size` pixels (bilinear, antialiased). Without it all images must be of one size.
    mean, std
        One value, or one per channel, after scaling to [0, 1].
    groups
        By sample, what an image belongs to: under `limit` whole groups are read, whatever their classes. None where
        each is on its own.
    channels
        1 or 3: make all images grey or RGB. Without it all images must have the channels of the first.
    """

    limit: int | None = None
    seed: int = 0
    size: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    channels: int | None = None
    groups: Mapping[str, str] | None = None

    def record(self, scale: str, **more: Any) -> dict[str, Any]:
        """Return what is done to the pixels, as recorded with every activation."""
        mean, std = (values and list(values) for values in (self.mean, self.std))
        return {"scale": scale, "size": self.size, "mean": mean, "std": std, **more}


EVERYTHING = Reading()
"""All images as they are."""


@dataclass(frozen=True)
class Samples:
    """One split as it lies on the disk.

    Attributes
    ----------
    is_encoded
        Whether the source's unprocessed bytes are files of images, which can say how their pixels are meant.
    left_out
        What lies beside the images and is none of them, counted, in words.
    """

    source: ImageSource
    sample_ids: Sequence[str]
    labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    is_encoded: bool = False
    left_out: tuple[str, ...] = ()


def split_of(
    samples: Samples, *, dataset: str, name: str, reading: Reading, record: Mapping[str, Any]
) -> ImageSplit:
    """Return the chosen images as a split, with what is to be said of them.

    Raises
    ------
    DataError
        There are no images, ids are repeated, or labels do not fit; when images are fetched: one cannot be
        decoded, has values that are not finite, or differs in size or channels from the first.

    Notes
    -----
    Reads every chosen image's unprocessed bytes once for the digest, one at a time.
    """
    where = f"data set '{dataset}', split '{name}'"
    check_samples(samples.sample_ids, samples.labels, samples.class_names, where)
    # The choice is made before any image is read, so that a limited split costs no more than its images.
    positions = _chosen(samples, reading, where)
    ids = tuple(samples.sample_ids[position] for position in positions)
    labels = None if samples.labels is None else samples.labels[positions]
    # The digest is over unprocessed bytes; what is done to pixels is on record beside it.
    tally = Tally(is_encoded=samples.is_encoded)
    raw = (samples.source.raw(int(position)) for position in positions)
    groups = None if reading.groups is None else groups_of(ids, reading.groups, where)
    digest = digest_of(ids, labels, tally.watch(raw), groups)
    return ImageSplit(
        dataset,
        name,
        fetch=_Reader(samples.source, positions, reading),
        labels=labels,
        sample_ids=ids,
        class_names=samples.class_names,
        digest=digest,
        preprocessing={**record, **tally.record()},
        contents=tuple(tally.contents),
        remarks=(*samples.left_out, *tally.remarks()),
        groups=groups,
    )


def _chosen(samples: Samples, reading: Reading, where: str) -> npt.NDArray[np.int64]:
    """Return the positions that are read: of images on their own as `chosen` says, else those of whole groups."""
    if reading.groups is None or reading.limit is None:
        return chosen(samples.labels, len(samples.sample_ids), limit=reading.limit, seed=reading.seed)
    groups = groups_of(samples.sample_ids, reading.groups, where)
    return whole_groups(groups, limit=reading.limit, seed=reading.seed)


def split_as_found(samples: Samples, *, dataset: str, name: str, reading: Reading, **more: Any) -> ImageSplit:
    """Return the chosen images as a split whose first image tells scale and channels.

    `more` goes to the record of preprocessing. Raises what `split_of` raises, and DataError where `mean` or `std`
    do not fit the channels; decodes one image more.
    """
    where = f"data set '{dataset}', split '{name}'"
    check_samples(samples.sample_ids, samples.labels, samples.class_names, where)
    source = samples.source
    # The first image tells the type of pixels, and with it the scale that holds for the split.
    first = with_channels(source.pixels(0), reading.channels, source.where(0))
    check_normalisation(reading.mean, reading.std, channels=first.shape[2])
    record = reading.record(SCALES[first.dtype.name], channels=first.shape[2], **more)
    return split_of(samples, dataset=dataset, name=name, reading=reading, record=record)


def check_samples(
    sample_ids: Sequence[str],
    labels: npt.NDArray[np.int64] | None,
    class_names: Sequence[str],
    where: str,
) -> None:
    """Refuse no images, repeated ids, and labels that are not one known class per image."""
    found = None
    if not sample_ids:
        found = "none"
    elif len(set(sample_ids)) != len(sample_ids):
        found = f"'{_repeated(sample_ids)}' more than once"
    elif (unspeakable := next((each for each in sample_ids if not is_text(each)), None)) is not None:
        found = f"the id {unspeakable!r}, which is no valid text (a name in another encoding than UTF-8)"
    elif labels is not None and labels.shape != (len(sample_ids),):
        found = f"labels of shape {labels.shape} beside {len(sample_ids)} ids"
    elif labels is not None and class_names and int(labels.max()) >= len(class_names):
        found = f"class {labels.max()} beside the names of {len(class_names)} classes"
    if found is not None:
        raise DataError(
            where=where,
            expected="images, each with an id of its own and, if any, one label",
            found=found,
            remedy="Correct the data set.",
        )


def demand_splits(known: Iterable[str], wanted: Sequence[str], where: str) -> None:
    """Refuse splits that are not there; `where` is what declares them."""
    known = sorted(known)
    missing = sorted(set(wanted) - set(known))
    if missing:
        raise DataError(
            where=where,
            expected=f"the splits {', '.join(wanted)}",
            found=", ".join(known) or "none",
            remedy=f"Add {missing[0]}.",
        )


def numbered_ids(split: str, count: int) -> tuple[str, ...]:
    """Return ``SPLIT/INDEX``, the index padded with zeros so that ids sort as images lie."""
    # The widest number is that of the last image, counted from 0.
    width = len(str(count - 1))
    return tuple(f"{split}/{index:0{width}d}" for index in range(count))


def chosen(
    labels: npt.NDArray[np.int64] | None, count: int, *, limit: int | None, seed: int
) -> npt.NDArray[np.int64]:
    """Return the positions that are read, in order: all, or `limit` of them with equal shares of the classes.

    A class that has less than its share gives all it has; without labels all images are one class.
    """
    if limit is None:
        return np.arange(count)
    generator = np.random.default_rng(seed)
    classes = np.zeros(count, dtype=np.int64) if labels is None else labels
    # Shares that differ by one image at most and add up to the limit; what a small class lacks is not made up for.
    by_class = [np.flatnonzero(classes == number) for number in np.unique(classes)]
    kept = []
    for number, positions in enumerate(by_class):
        share = (limit * (number + 1)) // len(by_class) - (limit * number) // len(by_class)
        if share < len(positions):
            positions = positions[generator.choice(len(positions), size=share, replace=False)]  # noqa: PLW2901
        kept.append(positions)
    return np.sort(np.concatenate(kept))


class _Reader:
    """Images by position within the split, preprocessed."""

    def __init__(self, source: ImageSource, positions: npt.NDArray[np.int64], reading: Reading) -> None:
        self._source, self._positions, self._reading = source, positions, reading

    def __call__(self, positions: Sequence[int]) -> Tensor:
        images = [self._checked(int(self._positions[position])) for position in positions]
        pixels = torch.from_numpy(scaled(np.stack(images))).permute(0, 3, 1, 2)
        # The permuted view has its channels last in memory, and networks may choose other kernels for that.
        pixels = pixels.clone(memory_format=torch.contiguous_format)
        return normalised(pixels, self._reading.mean, self._reading.std)

    def _checked(self, position: int) -> Pixels:
        image, first = self._image(position), self._first
        if (image.shape, image.dtype) != (first.shape, first.dtype):
            raise _unlike(self._source.where(position), image, first)
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise not_finite(self._source.where(position))
        return image

    @cached_property
    def _first(self) -> Pixels:
        return self._image(int(self._positions[0]))

    def _image(self, position: int) -> Pixels:
        where = self._source.where(position)
        image = with_channels(self._source.pixels(position), self._reading.channels, where)
        return resized(image, self._reading.size)


def not_finite(where: str) -> DataError:
    """Return the error of an image that holds NaN, infinity, or what float32 cannot hold."""
    return DataError(
        where=where,
        expected="finite values that fit float32",
        found="NaN or infinity",
        remedy="Repair or remove the image.",
    )


def _unlike(where: str, image: Pixels, first: Pixels) -> DataError:
    """Return the error of an image that differs from the first of its split in size, channels or depth."""
    if image.shape[:2] != first.shape[:2]:
        expected, found, remedy = _extent(first), _extent(image), "Set data.size to resize all images."
    elif image.shape != first.shape:
        expected, found, remedy = (
            _format(first),
            _format(image),
            "Set data.channels to make them alike.",
        )
    else:
        expected, found, remedy = (
            _format(first),
            _format(image),
            "Save all images with the same depth: one scale holds for a split.",
        )
    return DataError(
        where=where,
        expected=f"{expected}, as the first image of the split has",
        found=found,
        remedy=remedy,
    )


def _extent(pixels: Pixels) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]} pixels"


def _format(pixels: Pixels) -> str:
    return f"{pixels.shape[2]} channels of {pixels.dtype}"


def _repeated(sample_ids: Sequence[str]) -> str:
    return Counter(sample_ids).most_common(1)[0][0]
