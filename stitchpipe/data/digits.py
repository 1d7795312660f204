"""Scikit-learn's handwritten digits: 1,797 real 8×8 images that come with the library."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from stitchpipe.data.images import DataError, ImageSplit, digest_of

LEVELS = 16
"""Pixels are integers from 0 to 16."""


def load_digits_splits(
    *, name: str = "digits", test_fraction: float = 0.25, seed: int = 0
) -> dict[str, ImageSplit]:
    """Return the splits ``train`` and ``test``, stratified by class; the choice depends on `seed` alone.

    Pixels are scaled to [0, 1]; ids are positions in scikit-learn's order.

    Raises
    ------
    DataError
        One of the splits would have fewer images than there are classes.
    """
    bunch = load_digits()
    positions = np.arange(len(bunch.target))
    held = {}
    try:
        held["train"], held["test"] = train_test_split(
            positions, test_size=test_fraction, stratify=bunch.target, random_state=seed
        )
    except ValueError as error:
        raise DataError(
            where="data.test_fraction",
            expected="a share that leaves every class to both splits",
            found=f"{test_fraction}: {error}",
            remedy="The default is 0.25.",
        ) from None
    return {split: _split(bunch, name, split, np.sort(chosen)) for split, chosen in held.items()}


def _split(bunch: object, name: str, split: str, chosen: np.ndarray) -> ImageSplit:
    raw = bunch.images[chosen].astype(np.uint8)  # type: ignore[attr-defined]
    labels = bunch.target[chosen].astype(np.int64)  # type: ignore[attr-defined]
    images = torch.from_numpy(raw.astype(np.float32) / LEVELS)[:, None]
    ids = tuple(f"digits-{position:04d}" for position in chosen)
    return ImageSplit(
        dataset=name,
        name=split,
        fetch=lambda positions: images[torch.as_tensor(positions, dtype=torch.long)],
        labels=labels,
        sample_ids=ids,
        class_names=tuple(str(digit) for digit in range(10)),
        digest=digest_of(ids, labels, (image.tobytes() for image in raw)),
        preprocessing={"scale": f"1/{LEVELS}", "size": [8, 8], "mean": None, "std": None},
    )
