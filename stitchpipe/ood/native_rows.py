"""Native rows of a target layer in training units, and how well a distance from them tells stitched images."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stitchpipe.measures import Number
from stitchpipe.ood.errors import OodError
from stitchpipe.ood.standardiser import Standardiser

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.rows import Float64

    Distance: TypeAlias = Callable[[Float64], Float64]

CONSTANT = Number.missing("constant", "the target layer's features do not vary")
TOO_FEW = Number.missing("too_few_rows", "a spread needs at least two samples of each kind")


class NativeRows:
    """Native rows under one view, which gives one row per image or several; an image's score is the mean over its rows.

    Parameters
    ----------
    train, test
        ``[images, rows, q]``.

    Attributes
    ----------
    train, test
        The same, as they were given.

    Notes
    -----
    Nothing changes after the first use: threads may share one. Holds the training rows twice, as given and in units.
    """

    def __init__(self, train: Float64, test: Float64) -> None:
        self.train, self.test = train, test
        self._standardise = Standardiser.from_rows(_joined(train))

    @property
    def unfit(self) -> Number | None:
        """Return why no distance can be fitted to the training rows; None where one can."""
        return TOO_FEW if len(self.train) < 2 else None if self._standardise.varies else CONSTANT

    @cached_property
    def known(self) -> Float64:
        """Return the training rows of all images in training units, ``[n, q]``."""
        return self._standardise(_joined(self.train))

    def of_images(self, distance: Distance, images: Float64) -> Float64:
        """Return the mean distance of each image's rows, ``[images]``, given ``[images, rows, q]``."""
        rows = self._standardise(_joined(images))
        return np.asarray(distance(rows).reshape(images.shape[:2]).mean(axis=1), dtype=np.float64)

    def told_by(self, distance: Distance) -> Callable[[Float64], Number]:
        """Return the score of stitched ``[images, rows, q]``: |2·AUROC − 1| against the native test images.

        The distances of native images are taken once, here.
        """
        native = self.of_images(distance, self.test)
        return lambda images: two_sided(native, self.of_images(distance, images))


def auroc(native: Float64, foreign: Float64) -> float:
    """Return the probability that a foreign row is farther than a native one, ties counted half.

    The area under the curve of the receiver is the statistic of Mann and Whitney over the number of pairs (Hanley and
    McNeil 1982): pairs in order are counted, which rounds once. O((n + m)·log n).

    Raises
    ------
    OodError
        A distance is not finite: it has no place among the others.
    """
    if not (np.isfinite(native).all() and np.isfinite(foreign).all()):
        raise OodError(
            where="distances of native and foreign rows",
            expected="finite numbers",
            found="others",
            remedy="Look at the activations of the target: `stitchpipe verify RUN` names what is damaged.",
        )
    ordered = np.sort(native)
    nearer, no_farther = (np.searchsorted(ordered, foreign, side) for side in ("left", "right"))
    return float(int((nearer + no_farther).sum()) / (2 * len(native) * len(foreign)))


def two_sided(native: Float64, foreign: Float64) -> Number:
    """Return |2·AUROC − 1| of two samples of distances, with the AUROC beside it."""
    area = auroc(native, foreign)
    return Number(abs(2.0 * area - 1.0)).beside(auroc=area)


def _joined(images: Float64) -> Float64:
    return images.reshape(-1, images.shape[2])
