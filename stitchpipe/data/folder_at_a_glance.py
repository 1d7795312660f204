"""What a folder of images looks like before any sweep is there: its splits, classes, and the size of an image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from stitchpipe.config.starting import FirstImages
from stitchpipe.data.image_files import SUFFIXES, opened_image
from stitchpipe.data.images import DataError

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "test")


def glance(root: Path, beside: Path) -> FirstImages:
    """Return what a folder of images holds; its path as it is written from the folder `beside`.

    Raises
    ------
    DataError
        It is none, or not one of ``train/CLASS/*`` and ``test/CLASS/*``.

    Notes
    -----
    Lists the folders, and opens one image.
    """
    images: dict[str, int] = {}
    classes: set[str] = set()
    for split in SPLITS:
        paths = sorted(path for path in root.glob(f"{split}/*/*") if path.suffix.lower() in SUFFIXES)
        if not paths:
            there = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
            raise DataError(
                where=str(root),
                expected="a folder of images, train/CLASS/* and test/CLASS/*",
                found=f"no images in {split}/*/" + (f", but {', '.join(there[:6])}" if there else ""),
                remedy="Sort the images so, or take another kind of data: the page 'Models and data'.",
            )
        images[split] = len(paths)
        classes |= {path.parent.name for path in paths}
        first = paths[0]
    with opened_image(first, str(first), "Take the file out, or make it an image again.") as image:
        width, height = image.size
    return FirstImages(_written(root, beside), len(classes), images, (height, width))


def _written(root: Path, beside: Path) -> str:
    """Return a path as a sweep in the folder `beside` has it: relative where it lies below."""
    absolute = root.resolve()
    return os.fspath(absolute.relative_to(beside)) if absolute.is_relative_to(beside) else os.fspath(absolute)
