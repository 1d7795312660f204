"""The one place where a declared data set becomes splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import (
    ArraysData,
    ColouredData,
    DigitsData,
    EntryPointData,
    FolderData,
    StoredData,
    TorchvisionData,
)
from stitchpipe.data.arrays import load_arrays
from stitchpipe.data.digits import load_digits_splits
from stitchpipe.data.entry_points import load_entry_point
from stitchpipe.data.folder import load_image_folder
from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.reading import Reading
from stitchpipe.data.torchvision_sets import load_torchvision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stitchpipe.config import Data, ImageData


def load_splits(declared: Data, splits: Sequence[str] = ("train", "test")) -> dict[str, ImageSplit]:
    """Return the named splits of a data set as a sweep declares it.

    Raises
    ------
    DataError
        Data are missing or not as declared, a split is not among them, or splits have other classes or channels.

    Notes
    -----
    Reads every chosen image once for the digest; what else a kind costs is said at its function.
    """
    loaded = _load(declared, splits)
    named = {split: images.class_names for split, images in loaded.items() if images.class_names}
    if len(set(named.values())) > 1:
        raise DataError(
            where=f"data set '{declared.label}'",
            expected="the same classes in all splits",
            found="; ".join(f"{split}: {len(names)} classes" for split, names in named.items()),
            remedy="Give the splits the same names of classes in the same order.",
        )
    return loaded


def _load(declared: Data, splits: Sequence[str]) -> dict[str, ImageSplit]:
    if isinstance(declared, StoredData):
        raise DataError(
            where="data",
            expected="images to run networks on",
            found="kind 'store', which has none",
            remedy="Name the images: another kind of data.",
        )
    name, reading = declared.label, _reading(declared)
    match declared:
        case DigitsData():
            _require(("train", "test"), splits, "the data set")
            held = load_digits_splits(
                name=name, test_fraction=declared.test_fraction, seed=declared.seed, reading=reading
            )
            return {split: held[split] for split in splits}
        case FolderData():
            return load_image_folder(declared.root, name=name, splits=splits, reading=reading)
        case TorchvisionData():
            return _torchvision(declared, splits, reading)
        case ArraysData():
            files = {str(split): path for split, path in declared.files.items()}
            _require(files, splits, "data.files")
            return load_arrays(
                {split: files[split] for split in splits},
                name=name,
                label_files={str(split): path for split, path in declared.label_files.items()},
                columns={str(key): column for key, column in declared.columns.items()},
                layout=declared.layout,
                reading=reading,
            )
        case EntryPointData():
            return load_entry_point(
                declared.dataset, name=name, splits=splits, options=declared.options, reading=reading
            )


def _reading(declared: ImageData) -> Reading:
    channels = declared.channels if isinstance(declared, ColouredData) else None
    return Reading(declared.limit, declared.seed, declared.size, declared.mean, declared.std, channels)


def _torchvision(declared: TorchvisionData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    chosen: Sequence[str] | Mapping[str, Mapping[str, object]] = splits
    if declared.splits:
        arguments = {str(split): given for split, given in declared.splits.items()}
        _require(arguments, splits, "data.splits")
        chosen = {split: arguments[split] for split in splits}
    return load_torchvision(
        declared.dataset,
        root=declared.root,
        name=declared.label,
        splits=chosen,
        options=declared.options,
        download=declared.download,
        reading=reading,
    )


def _require(known: Iterable[str], splits: Sequence[str], where: str) -> None:
    missing = sorted(set(splits) - set(known))
    if missing:
        raise DataError(
            where=where,
            expected=f"the splits {', '.join(splits)}",
            found=f"{', '.join(sorted(known)) or 'none'}",
            remedy=f"Add {missing[0]}.",
        )
