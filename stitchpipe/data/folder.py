"""Images in folders: ``root/SPLIT/CLASS/*``, decoded when they are asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stitchpipe.data.images import DataError, ImageSplit, check_normalisation, digest_of, normalised

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def load_image_folder(  # noqa: PLR0913  (keyword-only beyond the root)
    root: Path,
    *,
    name: str,
    splits: Sequence[str] = ("train", "test"),
    limit: int | None = None,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    seed: int = 0,
) -> dict[str, ImageSplit]:
    """Return the splits of a folder of images; ids are paths relative to `root`.

    Classes are the folders' names in alphabetical order. Hidden files and folders are passed over.

    Parameters
    ----------
    limit
        At most this many images of each split, spread evenly over the classes; the choice depends on `seed`.
    size
        Resize to `size` × `size` pixels (bilinear, antialiased). Without it all images must be of one size.
    mean, std
        Per channel, after scaling to [0, 1].

    Raises
    ------
    DataError
        A folder is missing or empty, the splits' classes differ, `mean` or `std` do not fit; when images are
        fetched: one cannot be decoded, or they differ in size.

    Notes
    -----
    Reads every chosen file once for the digest; decodes none.
    """
    check_normalisation(mean, std, channels=3)
    found = {split: _paths(root, split) for split in splits}
    classes = {split: tuple(sorted(found[split])) for split in splits}
    first = splits[0]
    for split in splits:
        if classes[split] != classes[first]:
            differing = sorted(set(classes[split]) ^ set(classes[first]))
            raise DataError(
                where=str(root / split),
                expected=f"the classes of {first}",
                found=f"differences in {', '.join(differing[:5])}",
                remedy="Give every split the same class folders.",
            )
    settings = {"scale": "1/255", "size": size, "mean": mean and list(mean), "std": std and list(std)}
    built = {}
    for split, by_class in found.items():
        chosen = _limited([by_class[name] for name in classes[first]], limit, seed)
        reader = _Reader(tuple(path for path, _ in chosen), size, mean, std)
        ids = tuple(path.relative_to(root).as_posix() for path, _ in chosen)
        labels = np.array([label for _, label in chosen], dtype=np.int64)
        digest = digest_of(ids, labels, (_bytes(path) for path, _ in chosen))
        built[split] = ImageSplit(name, split, reader, labels, ids, classes[first], digest, settings)
    return built


class _Reader:
    """Decodes images by position."""

    def __init__(
        self,
        paths: tuple[Path, ...],
        size: int | None,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
    ) -> None:
        self._paths, self._size, self._mean, self._std = paths, size, mean, std

    def __call__(self, positions: Sequence[int]) -> Tensor:
        images = [self._decoded(self._paths[position]) for position in positions]
        for position, image in zip(positions, images, strict=True):
            if image.shape != self._expected_shape:
                height, width = self._expected_shape[:2]
                raise DataError(
                    where=str(self._paths[position]),
                    expected=f"{width}x{height} pixels, as the first image of the split has",
                    found=f"{image.shape[1]}x{image.shape[0]}",
                    remedy="Set data.size to resize all images.",
                )
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        return normalised(pixels.clone(memory_format=torch.contiguous_format), self._mean, self._std)

    @cached_property
    def _expected_shape(self) -> tuple[int, ...]:
        return self._decoded(self._paths[0]).shape

    def _decoded(self, path: Path) -> np.ndarray:
        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except Exception as error:
            raise DataError(
                where=str(path),
                expected="a readable image",
                found=str(error) or type(error).__name__,
                remedy="Replace or remove the file.",
            ) from error
        if self._size is not None and image.size != (self._size, self._size):
            image = image.resize((self._size, self._size), Image.Resampling.BILINEAR)
        return np.asarray(image)


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


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            where=str(path),
            expected="a readable file",
            found=error.strerror or str(error),
            remedy="Replace or remove the file.",
        ) from None


def _limited(by_class: list[list[Path]], limit: int | None, seed: int) -> list[tuple[Path, int]]:
    """Return (path, label) of the chosen images, class by class, in the order of their names."""
    generator = np.random.default_rng(seed)
    chosen: list[tuple[Path, int]] = []
    for label, paths in enumerate(by_class):
        share = (
            len(paths)
            if limit is None
            else (limit * (label + 1)) // len(by_class) - (limit * label) // len(by_class)
        )
        if share < len(paths):
            keep = np.sort(generator.choice(len(paths), size=share, replace=False))
            chosen += [(paths[position], label) for position in keep]
        else:
            chosen += [(path, label) for path in paths]
    return chosen
