"""What a run is made of that lies outside of it, as stamps: files by size and times, libraries by version.

A stamp is cheap, and says only that nothing was touched: equal stamps stand for equal inputs, and where they differ the
inputs themselves are looked at. Where nothing cheap can be said of an input its stamp is None, which equals nothing.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stitchpipe.config import (
    ArraysData,
    EntryPointData,
    FlatFolderData,
    FolderData,
    NetworkModel,
    ObjectData,
    PretrainedModel,
    StoredData,
    TorchvisionData,
    WeightsModel,
)
from stitchpipe.models import WeightsError, shards_of
from stitchpipe.plugins import digest_of_sources
from storage import StoreError, digest_of, place_and_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.config import Data, Model, Sweep

Stamp: TypeAlias = str
"""A digest."""

LIBRARIES: Final = ("stitchpipe", "torch", "torchvision", "timm", "transformers", "scikit-learn")
"""This package, and what networks, weights and images come from."""


@cache
def versions() -> dict[str, str]:
    """Return the versions of this package and of the libraries that networks and images come from."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = ""
    return found


def model_stamp(declared: Model | NetworkModel) -> Stamp | None:
    """Return the stamp of what a model is made of beside its declaration: its checkpoint or its folder.

    Weights that are published under a name and a version are taken for what never changes, as far as the reference in
    Hugging Face's cache stands; an architecture of another package has no stamp.
    """
    if not isinstance(declared, NetworkModel):
        return digest_of([])
    if declared.architecture in _of_packages():
        return None
    paths: list[Path] = []
    fetched: list[Any] = []
    prefix, _, name = declared.architecture.partition("/")
    if prefix == "hf":
        paths += _hugging_face(name)
    if isinstance(declared, WeightsModel):
        try:
            files = [declared.weights, *shards_of(declared.weights)]
        except (WeightsError, OSError, StoreError):
            return None  # whoever loads it says what is wrong
        fetched += [_object(file) for file in files if isinstance(file, str)]
        paths += [file for file in files if isinstance(file, Path)]
    if isinstance(declared, PretrainedModel) and isinstance(declared.pretrained, str):
        paths += _hugging_face(declared.pretrained)
    return digest_of([versions(), _files(paths), *fetched])


def data_stamp(declared: Data) -> Stamp | None:
    """Return the stamp of images: of every file that they lie in."""
    match declared:
        case EntryPointData():
            return None
        case FolderData() | FlatFolderData():
            paths = [declared.root]
        case TorchvisionData():
            paths = [] if declared.root is None else [declared.root]
        case ArraysData():
            paths = [*declared.files.values(), *declared.label_files.values()]
        case ObjectData():
            return digest_of(sorted(declared.digests.values()))
        case StoredData():
            return digest_of([])
        case _:
            paths = []
    return digest_of([versions(), _files(paths)])


def sweep_stamp(sweep: Sweep) -> Stamp | None:
    """Return the stamp of everything outside that a sweep depends on."""
    stamps = [data_stamp(sweep.data), *(model_stamp(model) for model in sweep.models)]
    detector = sweep.ood.detector
    if detector is not None:
        foreign = (getattr(detector, role) for role in ("auxiliary", "sanity"))
        stamps += [data_stamp(data) for data in foreign if not isinstance(data, str)]
    return None if None in stamps else digest_of([stamps, _plugins()])


def _files(paths: Iterable[Path]) -> list[Any]:
    """Return what tells files from others that were put in their place; folders stand for all that is in them."""
    found: list[Any] = []
    for path in paths:
        if path.is_dir():
            for folder, _, names in os.walk(path, followlinks=True):
                found += [_file(Path(folder) / name) for name in names]
        else:
            found.append(_file(path))
    return sorted(found)


def _file(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return [str(path)]
    # The time of change of the entry cannot be set back, which that of the content can.
    return [str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _object(url: str) -> list[Any]:
    """Return what tells an object of a bucket from another one under its URL: its entity tag and size. One request."""
    place, key = place_and_key(url)
    return [url, *(place.version(key) or ())]


def _hugging_face(name: str) -> list[Path]:
    """Return where a name of Hugging Face's lies: a folder, or the references of a repository in the cache."""
    folder = Path(name)
    if folder.is_absolute():
        return [folder]
    home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
    cached = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    return [cached / f"models--{name.replace('/', '--')}" / "refs"]


@cache
def _of_packages() -> frozenset[str]:
    return frozenset(point.name for point in metadata.entry_points(group="stitchpipe.models"))


@cache
def _plugins() -> list[list[str]]:
    """Return everything that installed packages add, with the versions of these."""
    known = metadata.entry_points()
    points = [
        point
        for group in known.groups
        if group.startswith("stitchpipe.")
        for point in known.select(group=group)
    ]
    return sorted(
        [
            point.group,
            point.name,
            point.value,
            "" if point.dist is None else point.dist.version,
            digest_of_sources(point.module.partition(".")[0]),
        ]
        for point in points
    )
