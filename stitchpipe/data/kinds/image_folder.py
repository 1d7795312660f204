"""Images in folders: ``root/SPLIT/CLASS/*``, decoded when they are asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.data.image_files import SUFFIXES, file_bytes, opened_image
from stitchpipe.data.image_traits import as_seen
from stitchpipe.data.images import DataError, ImageSplit, check_normalisation
from stitchpipe.data.pixels import rgb_of, scale_of_mode
from stitchpipe.data.reading import EVERYTHING, Reading, Samples, chosen, split_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from PIL import Image

    from stitchpipe.config import FolderData
    from stitchpipe.data.pixels import Pixels


def load(declared: FolderData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    """Return the declared splits, see `load_image_folder`."""
    return load_image_folder(declared.root, name=declared.label, splits=splits, reading=reading)


def load_image_folder(
    root: Path,
    *,
    name: str,
    splits: Sequence[str] = ("train", "test"),
    reading: Reading = EVERYTHING,
) -> dict[str, ImageSplit]:
    """Return the splits of a folder of images; ids are paths relative to `root`.

    Classes are the folders' names in alphabetical order. Hidden files and folders are passed over. Files that do not
    end as images do (`stitchpipe.data.image_files.SUFFIXES`) and what lies elsewhere than in a class's folder are
    passed over too, and counted in the split's remarks. Images are turned upright, transparent ones laid over white, of
    animations the first frame counts; what was so changed is counted. They become RGB, from 0 to 1: eight bits are
    scaled by 1/255, sixteen bits of grey by 1/65535, floats are taken as they are. All images of a split have to be of
    one of the three; the record of preprocessing says which.

    Raises
    ------
    DataError
        A folder is missing or empty, the splits' classes differ, `mean` or `std` do not fit; when images are
        fetched: one cannot be decoded, or they differ in size or depth.

    Notes
    -----
    Reads every chosen file once for the digest; decodes none, but looks at the head of the first.
    """
    check_normalisation(reading.mean, reading.std, channels=3)
    paths = {split: _paths(root, split) for split in splits}
    _check_same_classes(root, paths)
    return {split: _split(root, by_class, reading, (name, split)) for split, by_class in paths.items()}


@dataclass(frozen=True)
class FolderSource:
    """Image files, decoded as RGB; the digest covers their bytes."""

    paths: tuple[Path, ...]

    def pixels(self, position: int) -> Pixels:
        """Return an image, ``(H, W, 3)``; `DataError` if it cannot be decoded."""
        with self._opened(position) as image:
            return rgb_of(as_seen(image), self.where(position))

    def scale(self, position: int) -> str:
        """Return what is done to an image's numbers, from the head of its file."""
        with self._opened(position) as image:
            return scale_of_mode(image.mode)

    def raw(self, position: int) -> bytes:
        """Return the file's bytes."""
        return file_bytes(self.paths[position])

    def where(self, position: int) -> str:
        """Return the file's path."""
        return str(self.paths[position])

    def _opened(self, position: int) -> AbstractContextManager[Image.Image]:
        return opened_image(self.paths[position], self.where(position), "Replace or remove the file.")


def _split(
    root: Path, by_class: Mapping[str, list[Path]], reading: Reading, names: tuple[str, str]
) -> ImageSplit:
    """Return a split; `names` are those of the data set and of the split."""
    source = FolderSource(tuple(path for paths in by_class.values() for path in paths))
    labels = np.repeat(np.arange(len(by_class)), [len(paths) for paths in by_class.values()]).astype(np.int64)
    ids = tuple(path.relative_to(root).as_posix() for path in source.paths)
    left_out = passed_over(root / names[1], source.paths)
    samples = Samples(source, ids, labels, tuple(by_class), is_encoded=True, left_out=left_out)
    first = chosen(labels, len(ids), limit=reading.limit, seed=reading.seed)[0]
    record = reading.record(source.scale(int(first)))
    return split_of(samples, dataset=names[0], name=names[1], reading=reading, record=record)


def passed_over(folder: Path, read: Sequence[Path]) -> tuple[str, ...]:
    """Return how many files below a folder are no images of it, by how they end; hidden ones are not spoken of."""
    known = set(read)
    others = Counter(
        "images elsewhere" if path.suffix.lower() in SUFFIXES else path.suffix.lower() or "no suffix"
        for path in folder.rglob("*")
        if path not in known
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(5))
    return (f"{others.total()} files passed over ({kinds})",) if others else ()


def _check_same_classes(root: Path, by_split: Mapping[str, Mapping[str, list[Path]]]) -> None:
    first = next(iter(by_split))
    for split, by_class in by_split.items():
        differing = sorted(set(by_class) ^ set(by_split[first]))
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
    by_class = {
        entry.name: sorted(path for path in entry.iterdir() if _is_image(path))
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and not entry.name.startswith(".")
    }
    empty = [name for name, paths in by_class.items() if not paths]
    if not by_class or empty:
        raise DataError(
            where=str(folder),
            expected="one folder per class, with images in it",
            found=f"no images in {', '.join(empty[:3])}" if empty else "no class folders",
            remedy=f"Images end in {', '.join(sorted(SUFFIXES))}.",
        )
    return by_class


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
