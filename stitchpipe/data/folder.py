"""Images in folders: ``root/SPLIT/CLASS/*``, decoded when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from stitchpipe.data.images import DataError, ImageSplit, check_normalisation
from stitchpipe.data.reading import EVERYTHING, Reading, Samples, split_of
from stitchpipe.errors import first_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stitchpipe.data.pixels import Pixels

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def load_image_folder(
    root: Path,
    *,
    name: str,
    splits: Sequence[str] = ("train", "test"),
    reading: Reading = EVERYTHING,
) -> dict[str, ImageSplit]:
    """Return the splits of a folder of images; ids are paths relative to `root`.

    Classes are the folders' names in alphabetical order. Hidden files and folders are passed over. Images become
    RGB.

    Raises
    ------
    DataError
        A folder is missing or empty, the splits' classes differ, `mean` or `std` do not fit; when images are
        fetched: one cannot be decoded, or they differ in size.

    Notes
    -----
    Reads every chosen file once for the digest; decodes none.
    """
    check_normalisation(reading.mean, reading.std, channels=3)
    found = {split: _paths(root, split) for split in splits}
    _check_same_classes(root, found)
    return {
        split: split_of(
            _samples(root, by_class),
            dataset=name,
            name=split,
            reading=reading,
            record=reading.record("1/255"),
        )
        for split, by_class in found.items()
    }


@dataclass(frozen=True)
class FolderSource:
    """Image files, decoded as RGB; the digest covers their bytes."""

    paths: tuple[Path, ...]

    def pixels(self, position: int) -> Pixels:
        """Return an image, ``(H, W, 3)`` uint8; `DataError` if it cannot be decoded."""
        path = self.paths[position]
        try:
            with Image.open(path) as opened:
                return np.asarray(opened.convert("RGB"))
        except Exception as error:
            raise DataError(
                where=str(path),
                expected="a readable image",
                found=first_line(error),
                remedy="Replace or remove the file.",
            ) from error

    def raw(self, position: int) -> bytes:
        """Return the file's bytes."""
        return file_bytes(self.paths[position])

    def place(self, position: int) -> str:
        """Return the file's path."""
        return str(self.paths[position])


def file_bytes(path: Path) -> bytes:
    """Return a file's bytes; `DataError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            where=str(path),
            expected="a readable file",
            found=error.strerror or str(error),
            remedy="Replace or remove the file.",
        ) from None


def _samples(root: Path, by_class: Mapping[str, list[Path]]) -> Samples:
    paths = tuple(path for paths in by_class.values() for path in paths)
    labels = np.repeat(np.arange(len(by_class)), [len(paths) for paths in by_class.values()])
    ids = tuple(path.relative_to(root).as_posix() for path in paths)
    return Samples(FolderSource(paths), ids, labels.astype(np.int64), tuple(by_class))


def _check_same_classes(root: Path, found: Mapping[str, Mapping[str, list[Path]]]) -> None:
    first = next(iter(found))
    for split, by_class in found.items():
        differing = sorted(set(by_class) ^ set(found[first]))
        if differing:
            raise DataError(
                where=str(root / split),
                expected=f"the classes of {first}",
                found=f"differences in {', '.join(differing[:5])}",
                remedy="Give every split the same class folders.",
            )


def _paths(root: Path, split: str) -> dict[str, list[Path]]:
    folder = root / split
    if not folder.is_dir():
        raise DataError(
            where=str(folder),
            expected="a folder with one folder per class",
            found="no such folder",
            remedy="Set data.root to the folder that holds train/ and test/.",
        )
    found = {
        entry.name: sorted(path for path in entry.iterdir() if _is_image(path))
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    empty = [name for name, paths in found.items() if not paths]
    if not found or empty:
        raise DataError(
            where=str(folder),
            expected="one folder per class, with images in it",
            found=f"no images in {', '.join(empty[:3])}" if empty else "no class folders",
            remedy=f"Images end in {', '.join(sorted(SUFFIXES))}.",
        )
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
