"""Cosines and correlations of samples from their Gram, on a grid that makes ties out of rounding differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.spectrum import EPS64

if TYPE_CHECKING:
    from stitchpipe.algebra.samples.grams import SampleGram

TIE = 2.0**-40
"""The grid, about 1e-12: equal similarities, which rounding may have parted, fall on one point of it."""


def cosines(gram: SampleGram, *, index: str) -> Array:
    """Return xᵢ·xⱼ/(‖xᵢ‖‖xⱼ‖) of the rows as they came, ``[n, n]``, in whole multiples of `TIE`.

    Raises
    ------
    UndefinedIndexError
        ``degenerate``: a sample is zero.
    """
    return _normalised(gram, gram.origin_products(), index=index, fault="zero")


def correlations(gram: SampleGram, *, index: str) -> Array:
    """Return Pearson's correlations of samples over their features, ``[n, n]``, in whole multiples of `TIE`.

    The error is a few eps times the ratio of a sample's squared mean over features to its variance.

    Raises
    ------
    UndefinedIndexError
        ``degenerate``: a sample is constant over its features.
    """
    return _normalised(gram, gram.feature_comoments(), index=index, fault="constant")


def _normalised(gram: SampleGram, products: Array, *, index: str, fault: str) -> Array:
    """Return products over their norms, which must exceed the rounding of ‖x̃ᵢ‖² + ‖μ‖² that they came from."""
    xp = namespace(products)
    squared = xp.linalg.diagonal(products)
    # The squared norms were formed by adding back the mean, so their rounding goes with ‖x̃ᵢ‖² + ‖μ‖² even
    # where the result is small.
    terms = xp.linalg.diagonal(gram.products) + gram.squared_mean
    flat = squared <= 64.0 * EPS64 * terms
    count = int(xp.sum(xp.astype(flat, xp.int64)))
    if count:
        raise UndefinedIndexError(
            status="degenerate",
            where=index,
            expected=f"no sample that is {fault} over all features, for its similarity has no value",
            found=f"a layer with {count} such samples",
            remedy="Leave these samples or this layer out, or use CKA.",
        )
    norms = xp.sqrt(squared)
    # The result stays in whole multiples of the grid. Ranks and correlations do not depend on the unit, and
    # whole numbers compare exactly.
    return xp.round(products / norms[:, None] / norms[None, :] / TIE)
