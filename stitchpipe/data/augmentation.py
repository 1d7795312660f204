"""Augmented splits: each image shifted and mirrored, the same way whenever it is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor

from stitchpipe.data.images import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.data.images import ImageSplit


def augmented_split_name(split: str, number: int) -> str:
    """Return the name of an augmented split: ``train+1`` is the first one of ``train``."""
    return f"{split}+{number}"


def parse_split_name(name: str) -> tuple[str, int | None]:
    """Return the plain split that a name is of, and the number of the augmented one; None of a plain split."""
    split, _, number = name.partition("+")
    return split, int(number) if number else None


def augmented_split(images: ImageSplit, number: int, *, crop: int, flip: bool, seed: int) -> ImageSplit:
    """Return one augmented split of `images`, named as `augmented_split_name` says.

    Each image is shifted by up to `crop` pixels either way, black moving in, and mirrored with probability ½ if `flip`
    (He et al. 2016, §4.2). What happens to an image follows from `seed`, `number` and its position alone. Ids and
    labels are those of the split.

    Parameters
    ----------
    number
        Of the augmented split, from 1; it stands in its name.
    """

    def fetch(positions: Sequence[int]) -> Tensor:
        plain = images.batch(positions)
        black = _black(images, plain)
        moved = [
            _moved(image, np.random.default_rng([seed, number, position]), crop=crop, flip=flip, black=black)
            for image, position in zip(plain, positions, strict=True)
        ]
        return torch.stack(moved)

    return replace(
        images,
        name=augmented_split_name(images.name, number),
        fetch=fetch,
        remarks=(),
        preprocessing={
            **images.preprocessing,
            "augmentation": {"crop": crop, "flip": flip, "seed": seed, "pass": number},
        },
    )


def _black(images: ImageSplit, plain: Tensor) -> Tensor:
    """Return what a black pixel is after preprocessing, ``(C, 1, 1)``."""
    mean, std = (images.preprocessing.get(name) for name in ("mean", "std"))
    return normalised(torch.zeros(1, plain.shape[1], 1, 1), mean, std)[0]


def _moved(image: Tensor, rng: np.random.Generator, *, crop: int, flip: bool, black: Tensor) -> Tensor:
    """Return one image ``(C, H, W)``, shifted and perhaps mirrored."""
    down, right = rng.integers(0, 2 * crop + 1, size=2)
    # Padding is by zero, and black is not zero once images are normalised: shift it there and back.
    padded = F.pad(image - black, (crop, crop, crop, crop)) + black
    moved = padded[:, down : down + image.shape[1], right : right + image.shape[2]]
    return moved.flip(2) if flip and rng.random() < 0.5 else moved.clone()
