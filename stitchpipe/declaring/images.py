"""What is handed over as data, as a table of a sweep: a declaration as it is, a folder, or objects of this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from stitchpipe.capture import CaptureError, images_of
from stitchpipe.data import DataError
from stitchpipe.data.kinds.object import hold
from stitchpipe.data.map_style import map_style_samples
from stitchpipe.data.reading import EVERYTHING, Reading, numbered_ids, split_as_found
from stitchpipe.declaring.groups import (
    at_positions,
    cut_between,
    group_file,
    groups_of_images,
    groups_of_splits,
)
from stitchpipe.run.names import SPLITS, TEST, TRAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE_FIELDS: Final = ("image", "img", "pixel_values", "images")
LABEL_FIELDS: Final = ("label", "labels", "fine_label", "target")
"""What data sets of named fields call images and labels; the first that is there counts."""


def declared_images(data: Any, name: str, test_fraction: float, groups: Any = None) -> dict[str, Any]:
    """Return the table [data] of what was handed over.

    Parameters
    ----------
    data
        A table (``{"kind": "digits"}``); the path of a folder of images, with or without folders of classes; a data
        set, a loader, batches; or ``{"train": …, "test": …}`` of these. One alone is cut into both splits.
    name
        Of the data set, where it has no other.
    test_fraction
        Share of the images in the test split, of one that is cut.
    groups
        What each image belongs to, such as its subject or the image that it is a copy of; None where each is on its
        own. Names or numbers, one for each image in the order of the data set, or ``{"train": …, "test": …}`` of these;
        of a folder or a table the CSV file that ``groups`` in [data] names. Data that are cut are cut between groups.

    Raises
    ------
    stitchpipe.data.DataError
        Nothing in it is an image, or labels or groups do not fit.

    Notes
    -----
    Reads every image of a data set once, for the digest of the split. Batches that can be walked only once are held in
    memory, all of them.
    """
    if isinstance(data, Mapping) and "kind" in data:
        return dict(data) | group_file(groups)
    if isinstance(data, str | Path):
        return _folder(Path(data), test_fraction) | group_file(groups)
    if isinstance(data, Mapping) and set(SPLITS) <= set(data):
        parts = {split: _indexed(data[split]) for split in SPLITS}
        of_split = groups_of_splits(groups, {split: len(part) for split, part in parts.items()})
    else:
        whole = _indexed(data)
        together = groups_of_images(groups, len(whole), "groups")
        positions = _cut(len(whole), test_fraction, together)
        parts = {split: Cut(whole, chosen) for split, chosen in positions.items()}
        of_split = {split: at_positions(together, chosen) for split, chosen in positions.items()}
    digests = {split: _held(part, name, split, of_split[split]) for split, part in parts.items()}
    return {"kind": "object", "name": name, "digests": digests}


def _folder(root: Path, test_fraction: float) -> dict[str, Any]:
    """Return a folder as data: with classes where its splits have folders of them, flat otherwise."""
    has_classes = all(
        any(entry.is_dir() for entry in (root / split).iterdir()) if (root / split).is_dir() else False
        for split in SPLITS
    )
    kind = (
        {"kind": "image_folder"} if has_classes else {"kind": "flat_folder", "test_fraction": test_fraction}
    )
    return {**kind, "root": str(root.expanduser().resolve()), "name": root.name or "images"}


def _held(part: Any, name: str, split: str, groups: Sequence[str] | None) -> str:
    where = f"data, split '{split}'"
    samples = map_style_samples(part, split, where)
    reading = EVERYTHING
    if groups is not None:
        reading = Reading(groups=dict(zip(samples.sample_ids, groups, strict=True)))
    return hold(split_as_found(samples, dataset=name, name=split, reading=reading))


def _indexed(data: Any) -> Any:
    """Return data as what has a length and images by number."""
    if isinstance(data, DataLoader):
        if isinstance(data.dataset, IterableDataset):
            return HeldBatches.of(data)
        if data.collate_fn is not default_collate:
            return Collated(data.dataset, data.collate_fn)
        data = data.dataset
    if hasattr(data, "features") and hasattr(data, "column_names"):
        return NamedFields(data)
    if hasattr(data, "__len__") and hasattr(data, "__getitem__") and not _is_batches(data):
        return data
    if isinstance(data, Iterable):
        return HeldBatches.of(data)
    raise DataError(
        where="data",
        expected="a data set, a loader, batches of images, a folder, or a table",
        found=f"a {type(data).__name__}",
        remedy='Give for example data={"train": dataset_a, "test": dataset_b}.',
    )


def _is_batches(data: Any) -> bool:
    """Return whether a sequence is one of batches: images of four axes, alone or first in a tuple."""
    if isinstance(data, Tensor | np.ndarray) or not len(data):
        return False
    if not isinstance(data, list | tuple):
        return False
    first = data[0]
    if isinstance(first, list | tuple) and len(first):
        first = first[0]
    return isinstance(first, Mapping) or getattr(first, "ndim", 0) == 4


class Cut:
    """Some images of a data set, with the ids that they have in the whole."""

    def __init__(self, whole: Any, positions: npt.NDArray[np.int64]) -> None:
        self._whole, self._positions = whole, positions
        given = getattr(whole, "sample_ids", None)
        ids = numbered_ids("image", len(whole)) if given is None else given
        self.sample_ids = [ids[position] for position in positions.tolist()]
        self.class_names = getattr(whole, "class_names", None) or getattr(whole, "classes", None)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, number: int) -> Any:
        return self._whole[int(self._positions[number])]


def _cut(count: int, test_fraction: float, groups: Sequence[str] | None) -> dict[str, npt.NDArray[np.int64]]:
    """Return the images of the two splits of a data set: chance says which are in which, by a seed; no group is cut."""
    n_test = round(test_fraction * count)
    if not 0 < n_test < count:
        raise DataError(
            where="data",
            expected="images for both splits",
            found=f"{count} images, of which {n_test} would be the test split",
            remedy="Change `test_fraction`, or give data={'train': …, 'test': …}.",
        )
    if groups is not None:
        return cut_between(groups, n_test)
    order = np.random.default_rng(0).permutation(count)
    return {TRAIN: np.sort(order[n_test:]), TEST: np.sort(order[:n_test])}


class NamedFields:
    """A data set of named fields, as Hugging Face's `datasets` has it: images, and labels where there are some."""

    def __init__(self, data: Any) -> None:
        self._data, columns = data, list(data.column_names)
        self._image = next((name for name in IMAGE_FIELDS if name in columns), None)
        self._label = next((name for name in LABEL_FIELDS if name in columns), None)
        if self._image is None:
            raise DataError(
                where="data",
                expected=f"a column of images ({', '.join(IMAGE_FIELDS)})",
                found=", ".join(columns) or "no column",
                remedy="Rename the column, for example data.rename_column('picture', 'image').",
            )
        names = getattr(data.features.get(self._label), "names", None) if self._label else None
        self.class_names = list(names) if names else None
        first = data[0][self._image] if len(data) else None
        # Collections of photographs hold some grey ones; one number of channels must do for all.
        self._is_grey = getattr(first, "mode", "RGB") in ("1", "L")

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, number: int) -> Any:
        row = self._data[number]
        image = row[self._image]
        if hasattr(image, "convert") and not self._is_grey and getattr(image, "mode", "RGB") != "RGB":
            image = image.convert("RGB")
        return image if self._label is None else (image, row[self._label])


class Collated:
    """A data set behind a loader that puts batches together in its own way: one image at a time goes through it."""

    def __init__(self, data: Any, collate: Any) -> None:
        self._data, self._collate = data, collate
        self.class_names = getattr(data, "class_names", None) or getattr(data, "classes", None)

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, number: int) -> Any:
        batch = self._collate([self._data[number]])
        labels = _labels(batch)
        image = images_of(batch)[0]
        return image if labels is None else (image, int(labels[0]))


class HeldBatches:
    """Batches that were walked once: their images and labels, held in memory."""

    def __init__(self, images: Sequence[Tensor], labels: Sequence[int] | None) -> None:
        self._images, self.labels = images, labels

    @classmethod
    def of(cls, batches: Iterable[Any]) -> HeldBatches:
        """Walk batches; `DataError` where one holds no images, or only some have labels."""
        images: list[Tensor] = []
        labels: list[int] = []
        try:
            for batch in batches:
                images += images_of(batch).detach().cpu().unbind()
                labels += _labels(batch) or []
        except CaptureError as error:
            raise DataError(
                where="data", expected=error.expected, found=error.found, remedy=error.remedy
            ) from None
        if labels and len(labels) != len(images):
            raise DataError(
                where="data",
                expected="a label for each image, or none at all",
                found=f"{len(labels)} labels of {len(images)} images",
                remedy="Give every batch its labels.",
            )
        return cls(images, labels or None)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> Any:
        return self._images[number] if self.labels is None else (self._images[number], self.labels[number])


def _labels(batch: Any) -> list[int] | None:
    """Return the labels of a batch: a tensor of whole numbers behind the images, or in a field of that name."""
    labels = None
    if isinstance(batch, Mapping):
        labels = next((batch[name] for name in LABEL_FIELDS if name in batch), None)
    elif isinstance(batch, list | tuple) and len(batch) > 1:
        labels = batch[1]
    if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.is_floating_point():
        return None
    return [int(label) for label in labels.tolist()]
