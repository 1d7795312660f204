"""Images in a flat folder, without labels: all that lie in it, cut into the two splits by their names."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from stitchpipe.data.image_files import SUFFIXES
from stitchpipe.data.images import DataError, ImageSplit, check_normalisation
from stitchpipe.data.kinds.image_folder import FolderSource, passed_over
from stitchpipe.data.reading import Reading, Samples, chosen, split_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from stitchpipe.config import FlatFolderData


def load(declared: FlatFolderData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    """Return the declared splits; ids are paths relative to the folder.

    Where the folder holds ``train`` and ``test`` these are the splits. Otherwise a hash of each image's path says which
    split it is in, so that it stays there whatever is added to the folder; of few images the shares are rough. Where
    images have groups, it is a hash of the group's name.

    Raises
    ------
    DataError
        The folder is missing, or a split has no image; `mean` or `std` do not fit; when images are fetched: one cannot
        be decoded, or they differ in size or depth.

    Notes
    -----
    Reads every chosen file once for the digest; decodes none, but looks at the head of the first.
    """
    check_normalisation(reading.mean, reading.std, channels=3)
    paths = _by_split(declared, reading.groups)
    root = declared.root
    if all((root / split).is_dir() for split in paths):
        left_out = {split: passed_over(root / split, of_split) for split, of_split in paths.items()}
    else:
        left_out = dict.fromkeys(paths, passed_over(root, [path for each in paths.values() for path in each]))
    return {split: _split(declared, split, paths[split], reading, left_out[split]) for split in splits}


def _split(
    declared: FlatFolderData,
    split: str,
    paths: Sequence[Path],
    reading: Reading,
    left_out: tuple[str, ...],
) -> ImageSplit:
    if not paths:
        raise DataError(
            where=f"{declared.root}, split '{split}'",
            expected="an image",
            found="none",
            remedy=f"Images end in {', '.join(sorted(SUFFIXES))}; of few images change `test_fraction` or `seed`.",
        )
    source = FolderSource(tuple(paths))
    ids = tuple(path.relative_to(declared.root).as_posix() for path in paths)
    first = chosen(None, len(ids), limit=reading.limit, seed=reading.seed)[0]
    record = reading.record(source.scale(int(first)))
    samples = Samples(source, ids, None, (), is_encoded=True, left_out=left_out)
    return split_of(samples, dataset=declared.label, name=split, reading=reading, record=record)


def _by_split(declared: FlatFolderData, groups: Mapping[str, str] | None) -> dict[str, list[Path]]:
    """Return the images of either split, sorted by path; those of a group are in one."""
    root = declared.root
    if not root.is_dir():
        raise DataError(
            where=str(root),
            expected="a folder of images",
            found="no such folder",
            remedy="Set data.root to it; relative paths start at the sweep file.",
        )
    if all((root / split).is_dir() for split in ("train", "test")):
        return {split: _images(root / split) for split in ("train", "test")}
    by_split: dict[str, list[Path]] = {"train": [], "test": []}
    for path in _images(root):
        name = path.relative_to(root).as_posix()
        name = name if groups is None else groups.get(name, name)
        by_split["test" if _share(name, declared.seed) < declared.test_fraction else "train"].append(path)
    return by_split


def _images(folder: Path) -> list[Path]:
    """Return the images below a folder, at any depth; hidden files and folders are passed over."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def _share(name: str, seed: int) -> float:
    """Return a number from 0 to 1 that follows from an image's path, or its group, and the seed."""
    text = f"{seed}\0{name}"
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") / 2**64
