"""Linear centred kernel alignment, debiased and biased."""

from __future__ import annotations

from math import sqrt
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.batches.layer_batch import DOUBT
from stitchpipe.algebra.batches.slices import Floats, inner
from stitchpipe.algebra.batches.values import vouched
from stitchpipe.algebra.errors import MomentsError, UndefinedIndexError
from stitchpipe.algebra.guards import variation_of, within
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.inputs import Array, Products, namespace
from stitchpipe.algebra.moments import rotated_moments
from stitchpipe.algebra.samples.sample_matrix import SampleMatrix, aligned
from stitchpipe.algebra.spectrum import EPS64
from stitchpipe.measures import ISOTROPIC, Measure

if TYPE_CHECKING:
    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import LayerBatch, PairBatch
    from stitchpipe.algebra.moments import NormProducts, PairMoments
    from stitchpipe.algebra.samples.grams import SampleGram

_Numbers = TypeVar("_Numbers", float, Floats)


def cka(X: Array, Y: Array, *, debiased: bool = True, products: Products = "float64") -> float:
    """Return linear CKA of paired rows ``X [n, p]``, ``Y [n, q]``.

    Biased: ‖X̃ᵀỸ‖²_F / (‖X̃ᵀX̃‖_F ‖ỸᵀỸ‖_F), in [0, 1], and close to 1 for independent noise where p ≫ n.
    Debiased: each ‖·‖² becomes HSIC_u = ‖X̃ᵀỸ‖²_F − n/(n−2)·Σkᵢlᵢ + Σkᵢ·Σlᵢ/((n−1)(n−2)) with kᵢ = ‖x̃ᵢ‖²,
    lᵢ = ‖ỹᵢ‖², whose expectation is 0 for independent rows; in [−1, 1].

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y. Debiasing treats rows as independent: positions of one image are
        not; pool or flatten them first.
    debiased
        The unbiased estimator of HSIC in numerator and denominator.
    products
        The type in which rows are multiplied, about means in float64: ``float64``, or ``float32`` with float64 sums
        over blocks of rows, which takes half of the time and errs by some 1e-8 where nothing is inverted.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``; ``too_few_rows`` (debiased needs n ≥ 4); ``degenerate`` (all rows equally far apart).

    Notes
    -----
    Time O(n·(p·r + q·s)) with r = min(n, p), s = min(n, q); memory O(n·(p + q) + r² + s²). Nothing is inverted, so the
    error does not grow with conditioning: a few eps, times the ratio of biased to debiased HSIC where that is large
    (p ≫ n). Kornblith et al. 2019 (linear CKA); Song et al. 2012, Székely and Rizzo 2014 (the unbiased estimator).
    """
    return cka_from_moments(rotated_moments(X, Y, products=products), debiased=debiased)


def cka_from_moments(pair: PairMoments, *, debiased: bool = True) -> float:
    """Return linear CKA from moments, as `cka`.

    Time O(p·q), and O(p² + q²) once per side.

    Raises
    ------
    MomentsError
        Debiased was asked for and the moments carry no products of row norms.
    UndefinedIndexError
        As in `cka`.
    """
    name = "cka" if debiased else "cka_biased"
    scale_x, scale_y = variation_of(pair, name)
    # Both sides are scaled to ‖X̃‖_F = 1 before anything is squared: fourth powers of raw activations can
    # overflow.
    cross = _squared_norm(pair.xy / scale_x / scale_y)
    own_x, own_y = pair.x.inverse_participation, pair.y.inverse_participation
    if not debiased:
        return within(cross / sqrt(own_x * own_y), 0.0, 1.0, index=name)
    norms = _norm_products(pair)
    square_x, square_y = scale_x**2, scale_y**2
    # On this scale Σkᵢ = Σlᵢ = 1, which is why the last term of HSIC_u has no sums in it.
    hsic_x = _positive(pair.n, own_x, norms.xx / square_x / square_x, "source")
    hsic_y = _positive(pair.n, own_y, norms.yy / square_y / square_y, "target")
    hsic = _unbiased(pair.n, cross, norms.xy / square_x / square_y)
    return within(hsic / sqrt(hsic_x * hsic_y), -1.0, 1.0, index=name)


def linear_kernel(gram: SampleGram, *, debiased: bool = True) -> SampleMatrix:
    """Return a layer's matrix for linear CKA; inner products of two are what `cka` gives. Time O(n²).

    Raises
    ------
    UndefinedIndexError
        As `cka`.
    """
    index = "cka" if debiased else "cka_biased"
    spread = gram.variation(index)
    return aligned(gram.products / spread / spread, index=index, debiased=debiased)


def _unbiased(n: int, squared_norm: _Numbers, norm_product: _Numbers) -> _Numbers:
    """Return n(n−3)·HSIC_u of sides scaled so that Σk = Σl = 1."""
    return squared_norm - n / (n - 2) * norm_product + 1.0 / ((n - 1) * (n - 2))


def _smallest(n: int, squared_norm: _Numbers, norm_product: _Numbers) -> _Numbers:
    """Return what HSIC_u of a side with itself must exceed: the rounding of its three terms."""
    # Their difference is small, and its own size says nothing of their rounding.
    terms = squared_norm + n / (n - 2) * norm_product + 1.0 / ((n - 1) * (n - 2))
    return 64.0 * EPS64 * sqrt(n) * terms


def _positive(n: int, squared_norm: float, norm_product: float, side: str) -> float:
    """Return a side's HSIC_u with itself, refusing what is not above the rounding of its three terms."""
    value = _unbiased(n, squared_norm, norm_product)
    if value <= _smallest(n, squared_norm, norm_product):
        raise UndefinedIndexError(
            status="degenerate",
            where="cka",
            expected="rows whose mutual distances differ",
            found=f"a {side} whose {n} rows are all equally far apart",
            remedy="Use cka_biased, or more samples.",
        )
    return value


def _norm_products(pair: PairMoments) -> NormProducts:
    if pair.n < 4:
        raise UndefinedIndexError(
            status="too_few_rows",
            where="cka",
            expected="n ≥ 4 rows for the unbiased estimator",
            found=f"n = {pair.n}",
            remedy="Compare on more samples, or ask for cka_biased.",
        )
    if pair.norm_products is None:
        raise MomentsError(
            where="cka",
            expected="products of squared row norms beside the moments",
            found="none",
            remedy="Accumulate augmented rows (`augment`), or ask for cka_biased.",
        )
    return pair.norm_products


def _squared_norm(matrix: Array) -> float:
    xp = namespace(matrix)
    return float(xp.sum(matrix * matrix))


def _debiased(analysis: Analysis, _: Measure) -> IndexValue:
    return IndexValue(cka_from_moments(analysis.pair))


def biased_cka(analysis: Analysis, _: Measure) -> IndexValue:
    """Return biased linear CKA of an analysed pair."""
    return IndexValue(cka_from_moments(analysis.pair, debiased=False))


def _debiased_of_batch(batch: PairBatch, _: Measure) -> BatchValues | None:
    if batch.n < 4 or batch.norm_products is None:
        return None
    x, y = _own_of_batch(batch.x), _own_of_batch(batch.y)
    if x is None or y is None:
        return None
    square_x, square_y = batch.x.scale[batch.ix] ** 2, batch.y.scale[batch.iy] ** 2
    hsic = _unbiased(batch.n, _squared_norms(batch), batch.norm_products / square_x / square_y)
    own = x[batch.ix] * y[batch.iy]
    return BatchValues(vouched(hsic / np.sqrt(np.where(own > 0.0, own, 1.0)), own > 0.0, -1.0, 1.0))


def _own_of_batch(layers: LayerBatch) -> Floats | None:
    """Return HSIC_u of each layer with itself, ``[L]``; 0 where a batch does not vouch for it."""
    if layers.norm_squares is None:
        return None
    square = layers.scale**2
    terms = layers.n, layers.inverse_participation, layers.norm_squares / square / square
    own, smallest = _unbiased(*terms), _smallest(*terms)
    return np.where(layers.varies & (own > DOUBT * smallest), own, 0.0)


def _squared_norms(batch: PairBatch) -> Floats:
    """Return ‖X̃ᵀỸ‖²_F of sides scaled to norm 1, ``[B]``."""
    return inner(batch.scaled, batch.scaled)


def biased_of_batch(batch: PairBatch, _: Measure) -> BatchValues:
    """Return biased linear CKA of a batch of pairs."""
    own = batch.x.inverse_participation[batch.ix] * batch.y.inverse_participation[batch.iy]
    values = _squared_norms(batch) / np.sqrt(np.where(batch.varying, own, 1.0))
    return BatchValues(vouched(values, batch.varying, 0.0, 1.0))


def biased_kernel(gram: SampleGram) -> SampleMatrix:
    """Return a layer's matrix for biased linear CKA."""
    return linear_kernel(gram, debiased=False)


CKA = Index(
    Measure(
        name="cka",
        label="Linear CKA, debiased",
        meaning="Alignment of the two Gram matrices, with the unbiased estimator of each term: independent "
        "representations score 0 on average however many features they have. Needs independent rows.",
        kind="index",
        computed_from="moments",
        range=(-1.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        independent_rows=True,
        null="permuted_images",
        closed_null=True,
        interval="population",
        cost="O(p·q), and O(p²) once per side",
        literature="Kornblith et al. 2019; Song et al. 2012; Székely and Rizzo 2014",
    ),
    of_moments=_debiased,
    of_batch=_debiased_of_batch,
    of_gram=linear_kernel,
    linear_null="cka",
    null_moments=attrgetter("hollow"),
)

CKA_BIASED = Index(
    Measure(
        name="cka_biased",
        label="Linear CKA, biased",
        meaning="Alignment of the two Gram matrices as they are. Rises with features per row even for independent "
        "representations: read it with n and p.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        null="permuted_images",
        closed_null=True,
        interval="population",
        cost="O(p·q), and O(p²) once per side",
        literature="Kornblith et al. 2019",
    ),
    of_moments=biased_cka,
    of_batch=biased_of_batch,
    of_gram=biased_kernel,
    linear_null="cka_biased",
    null_moments=attrgetter("centred"),
)
