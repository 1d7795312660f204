"""Images of a PyTorch map-style data set: anything with ``len(data)`` and ``data[k]``."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from stitchpipe.data.class_numbers import class_numbers
from stitchpipe.data.image_files import file_bytes
from stitchpipe.data.images import DataError
from stitchpipe.data.pixels import Pixels, pixels_of
from stitchpipe.data.reading import Samples, numbered_ids
from stitchpipe.errors import named_line

LABEL_ATTRIBUTES = ("targets", "labels", "_labels")
"""Where data sets keep the labels of all images."""
FILE_ATTRIBUTES = ("samples", "_samples", "_image_files", "_images")
"""Where torchvision's data sets keep the images' files, alone or first in a pair."""


def map_style_samples(data: Any, split: str, where: str, *, trust_files: bool = False) -> Samples:
    """Return the images, labels and ids of a map-style data set.

    An item is an image (see `stitchpipe.data.pixels.pixels_of`) or a pair ``(image, target)``. Targets that are no
    whole numbers (boxes, captions, masks) leave the images without labels. ``sample_ids`` and ``class_names`` or
    ``classes`` are taken from the data set where it has them; ids are else ``SPLIT/INDEX``.

    Parameters
    ----------
    trust_files
        Let the digest cover image files, where the data set names them, instead of decoded pixels: right only if
        nothing but the file determines the image.

    Raises
    ------
    DataError
        It is no map-style data set, its items are no images, or labels or ids do not fit.

    Notes
    -----
    Labels cost nothing where the data set keeps them in ``targets``, ``labels`` or ``_labels``, else one decoding
    of every image. The digest costs another, or reading the files.
    """
    try:
        count = len(data)
    except TypeError:
        raise DataError(
            where=where,
            expected="a map-style data set, with len(data) and data[k]",
            found=f"a {type(data).__name__} without a length",
            remedy="Wrap an iterable data set into one that can be indexed.",
        ) from None
    source = MapStyleSource(data, where, _files(data, count) if trust_files else None)
    labels = _labels(source, count) if count else None
    given = getattr(data, "sample_ids", None)
    ids = numbered_ids(split, count) if given is None else tuple(map(str, given))
    return Samples(source, ids, labels, _class_names(data, labels))


@dataclass(frozen=True)
class MapStyleSource:
    """Images of a map-style data set, asked for one by one."""

    data: Any
    label: str
    files: tuple[Path, ...] | None = None

    def pixels(self, position: int) -> Pixels:
        """Return an image, ``(H, W, C)``, uint8 or float32."""
        return pixels_of(self.item(position)[0], self.where(position))

    def raw(self, position: int) -> bytes:
        """Return the image's file where it is known, else its decoded pixels with their type and shape."""
        if self.files is not None:
            return file_bytes(self.files[position])
        image = self.pixels(position)
        return f"{image.dtype.str}{image.shape}".encode() + image.tobytes()

    def where(self, position: int) -> str:
        """Return the data set's name and the position, and the file where it is known."""
        return str(self.files[position]) if self.files is not None else f"{self.label}, image {position}"

    def item(self, position: int) -> tuple[Any, Any]:
        """Return an image and its target, None where the data set has none; `DataError` if it cannot be had."""
        try:
            item = self.data[position]
        except Exception as error:
            raise DataError(
                where=self.where(position),
                expected="an item of the data set",
                found=named_line(error),
                remedy="Repair the data set.",
            ) from error
        if not isinstance(item, tuple | list):
            return item, None
        if len(item) != 2:
            raise DataError(
                where=self.where(position),
                expected="an image, or a pair of an image and its label",
                found=f"a tuple of {len(item)}",
                remedy="Only data sets of single images can be read.",
            )
        return item[0], item[1]


def _labels(source: MapStyleSource, count: int) -> npt.NDArray[np.int64] | None:
    """Return the class numbers: kept ones where they agree with the first and last item, else those of all items."""
    ends = {position: _whole(source.item(position)[1]) for position in (0, count - 1)}
    if any(target is None for target in ends.values()):
        return None
    for kept in _kept_labels(source.data, count):
        if all(kept[position] == target for position, target in ends.items()):
            return class_numbers(kept, count, source.label)
    targets = [_whole(source.item(position)[1]) for position in range(count)]
    lost = next((position for position, target in enumerate(targets) if target is None), None)
    if lost is not None:
        raise DataError(
            where=source.where(lost),
            expected="a whole-numbered label, as the first image has",
            found="none",
            remedy="Label all images or none.",
        )
    return class_numbers(targets, count, source.label)


def _kept_labels(data: Any, count: int) -> list[npt.NDArray[Any]]:
    """Return what may be the labels of all images, as the data set keeps them."""
    arrays = []
    for attribute in LABEL_ATTRIBUTES:
        kept = getattr(data, attribute, None)
        if isinstance(kept, list | tuple | np.ndarray | Tensor) and len(kept) == count:
            try:
                array = np.asarray(kept)
            except (TypeError, ValueError):  # ragged lists of boxes, for example
                continue
            if array.shape == (count,) and array.dtype.kind in "iu":
                arrays.append(array)
    return arrays


def _whole(target: Any) -> int | None:
    """Return a target as a class number, or None if it is something else."""
    if isinstance(target, Tensor | np.ndarray) and target.ndim == 0:
        target = target.item()
    if isinstance(target, bool) or not isinstance(target, numbers.Integral):
        return None
    return int(target)


def _class_names(data: Any, labels: npt.NDArray[np.int64] | None) -> tuple[str, ...]:
    """Return the names of the classes; none where they do not cover the labels: then they name something else."""
    names = getattr(data, "class_names", None) or getattr(data, "classes", None)
    if labels is None or not isinstance(names, list | tuple) or len(names) <= labels.max():
        return ()
    return tuple(", ".join(map(str, name)) if isinstance(name, list | tuple) else str(name) for name in names)


def _files(data: Any, count: int) -> tuple[Path, ...] | None:
    for attribute in FILE_ATTRIBUTES:
        kept = getattr(data, attribute, None)
        if isinstance(kept, list) and len(kept) == count > 0:
            paths = [entry[0] if isinstance(entry, tuple | list) and entry else entry for entry in kept]
            if all(isinstance(path, str | Path) for path in paths) and Path(paths[0]).is_file():
                return tuple(map(Path, paths))
    return None
