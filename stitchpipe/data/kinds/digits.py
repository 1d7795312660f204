"""Scikit-learn's handwritten digits: 1,797 real 8×8 images that come with the library."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stitchpipe.data.groups import groups_of
from stitchpipe.data.images import DataError, ImageSplit, check_normalisation
from stitchpipe.data.reading import EVERYTHING, Reading, Samples, demand_splits, split_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import DigitsData
    from stitchpipe.data.pixels import Pixels

LEVELS = 16
"""Pixels are integers from 0 to 16."""


def load(declared: DigitsData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    """Return the declared splits, see `load_digits_splits`."""
    demand_splits(("train", "test"), splits, "the data set")
    both = load_digits_splits(
        name=declared.label, test_fraction=declared.test_fraction, seed=declared.seed, reading=reading
    )
    return {split: both[split] for split in splits}


def load_digits_splits(
    *, name: str = "digits", test_fraction: float = 0.25, seed: int = 0, reading: Reading = EVERYTHING
) -> dict[str, ImageSplit]:
    """Return the splits ``train`` and ``test``, stratified by class; the choice depends on `seed` alone.

    Where images have groups the choice is among whole groups, whatever their classes.

    Pixels are scaled to [0, 1]; ids are positions in scikit-learn's order.

    Raises
    ------
    DataError
        One of the splits would have fewer images than there are classes; `mean` or `std` do not fit.
    """
    # A second and a half of imports, which no sweep over other images should cost.
    from sklearn.model_selection import GroupShuffleSplit, train_test_split  # noqa: PLC0415

    check_normalisation(reading.mean, reading.std, channels=1)
    bunch = _bundled()
    positions = np.arange(len(bunch.target))
    rows_of = {}
    try:
        if reading.groups is None:
            rows_of["train"], rows_of["test"] = train_test_split(
                positions, test_size=test_fraction, stratify=bunch.target, random_state=seed
            )
        else:
            groups = groups_of([_name(row) for row in positions.tolist()], reading.groups, name)
            by_group = GroupShuffleSplit(1, test_size=test_fraction, random_state=seed)
            rows_of["train"], rows_of["test"] = next(by_group.split(positions, groups=groups))
    except ValueError as error:
        raise DataError(
            where="data.test_fraction",
            expected="a share that leaves every class to both splits",
            found=f"{test_fraction}: {error}",
            remedy="The default is 0.25.",
        ) from None
    record = {**reading.record(f"1/{LEVELS}"), "size": [reading.size or 8] * 2}
    return {
        split: split_of(
            _samples(bunch, np.sort(rows)), dataset=name, name=split, reading=reading, record=record
        )
        for split, rows in rows_of.items()
    }


@cache
def _bundled() -> Any:
    """Return what comes with scikit-learn: a file of text, which takes longer to read than a network to build."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - as above

    return load_digits()


@dataclass(frozen=True)
class _Digits:
    """Digits in memory, ``(n, 8, 8)`` from 0 to 16."""

    images: npt.NDArray[np.float64]

    def pixels(self, position: int) -> Pixels:
        image: Pixels = self.images[position].astype(np.float32)[:, :, None] / LEVELS
        return image

    def raw(self, position: int) -> bytes:
        return bytes(self.images[position].astype(np.uint8).tobytes())

    def where(self, position: int) -> str:
        return f"digit {position}"


def _name(row: int) -> str:
    return f"digits-{row:04d}"


def _samples(bunch: Any, rows: npt.NDArray[np.int64]) -> Samples:
    return Samples(
        _Digits(bunch.images[rows]),
        tuple(map(_name, rows.tolist())),
        bunch.target[rows].astype(np.int64),
        tuple(str(digit) for digit in range(10)),
    )
