"""The one door through which a declared data set becomes splits, whatever its kind."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol, cast

from stitchpipe.config import ColouredData, ImageData, StoredData
from stitchpipe.data.groups import demand_known, read_groups
from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.reading import EVERYTHING, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Data


class Loader(Protocol):
    """What a module of `stitchpipe.data.kinds` has under the name ``load``."""

    def __call__(self, declared: Any, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
        """Return the named splits; `declared` is the kind's own section."""


def load_splits(declared: Data, splits: Sequence[str] = ("train", "test")) -> dict[str, ImageSplit]:
    """Return the named splits of a data set as a sweep declares it.

    Raises
    ------
    DataError
        Data are missing or not as declared, a split is not among them, splits have other classes or channels, or
        groups are not one for each image.

    Notes
    -----
    Reads every chosen image once for the digest; what else a kind costs is said at its function.
    """
    if isinstance(declared, StoredData):
        raise DataError(
            where="data",
            expected="images to run networks on",
            found="kind 'store', which has none",
            remedy="Name the images: another kind of data.",
        )
    reading = _reading(declared)
    loaded = loader_of(declared.kind)(declared, splits, reading)
    if isinstance(declared, ImageData) and declared.groups is not None and reading.groups is not None:
        is_all = reading.limit is None and len(splits) > 1
        if is_all:  # else there may be others
            ids = (sample for images in loaded.values() for sample in images.sample_ids)
            demand_known(reading.groups, ids, declared.groups)
    class_names = {split: images.class_names for split, images in loaded.items() if images.class_names}
    if len(set(class_names.values())) > 1:
        raise DataError(
            where=f"data set '{declared.label}'",
            expected="the same classes in all splits",
            found="; ".join(f"{split}: {len(names)} classes" for split, names in class_names.items()),
            remedy="Give the splits the same names of classes in the same order.",
        )
    return _with_shared_told(loaded)


def _with_shared_told(loaded: dict[str, ImageSplit]) -> dict[str, ImageSplit]:
    """Return the splits; each says how many of its images, byte for byte, and groups one before it has too."""
    splits = dict(loaded)
    for remark_of in (_shared_images, _shared_groups):
        for earlier, later in combinations(loaded, 2):
            if remark := remark_of(loaded[later], loaded[earlier], earlier):
                splits[later] = replace(splits[later], remarks=(*splits[later].remarks, remark))
    return splits


def _shared_images(split: ImageSplit, other: ImageSplit, name: str) -> str:
    known = set(other.contents)
    count = sum(content in known for content in split.contents)
    return f"{count} of the same bytes as images of '{name}'" if count else ""


def _shared_groups(split: ImageSplit, other: ImageSplit, name: str) -> str:
    count = len(set(split.groups or ()) & set(other.groups or ()))
    return f"{count} of its groups have images in '{name}' too" if count else ""


def loader_of(kind: str) -> Loader:
    """Return what loads a kind of data: its module is imported when it is needed, and named nowhere else."""
    return cast("Loader", import_module(f"stitchpipe.data.kinds.{kind}").load)


def _reading(declared: Data) -> Reading:
    """Return what is done to pixels; nothing to those of objects, which are as they were handed over."""
    if not isinstance(declared, ImageData):
        return EVERYTHING
    channels = declared.channels if isinstance(declared, ColouredData) else None
    groups = None if declared.groups is None else read_groups(declared.groups)
    return Reading(
        declared.limit, declared.seed, declared.size, declared.mean, declared.std, channels, groups
    )
