"""Soft matching: how well single features of two representations correspond, whatever their order and number."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.algebra.batches import BatchValues
from stitchpipe.algebra.batches.layer_batch import DOUBT
from stitchpipe.algebra.batches.values import vouched
from stitchpipe.algebra.errors import MomentsError, UndefinedIndexError
from stitchpipe.algebra.guards import variation_of, within
from stitchpipe.algebra.index import Index, IndexValue
from stitchpipe.algebra.inputs import Array, Products, stored_spacing
from stitchpipe.algebra.moments import rotated_moments
from stitchpipe.algebra.spectrum import EPS64, StorageEps, by_side
from stitchpipe.algebra.transport import best_transport
from stitchpipe.measures import Measure, Transformation

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.algebra.analysis import Analysis
    from stitchpipe.algebra.batches import LayerBatch, PairBatch
    from stitchpipe.algebra.batches.slices import Flags
    from stitchpipe.algebra.moments import Moments, PairMoments

    Float64 = npt.NDArray[np.float64]

_ROUNDING = 8.0  # of a constant column's spread, in eps·√n·|mean|; as for whole layers in `guards`
_FEATURE_BY_FEATURE: frozenset[Transformation] = frozenset({"translation", "permutation", "feature_scaling"})


def soft_matching(X: Array, Y: Array, *, products: Products = "float64") -> float:
    """Return the soft matching score max Σ P_ij ρ_ij ∈ [−1, 1] of ``X [n, p]``, ``Y [n, q]``.

    ρ_ij is Pearson's correlation of feature i of X with feature j of Y, and P runs over transport plans: P_ij ≥ 0, row
    sums 1/p, column sums 1/q. For p = q it is the mean correlation of the best pairing of features, one with one.

    Features that do not vary beyond the rounding of their mean and of their type have no correlation; they are left
    out on either side, so that p and q count those that vary. `products` is as of `cka`.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``, or ``too_few_rows`` for a single row.

    Notes
    -----
    Time O(n·p·q) and about O(p·q·max(p, q)) for the plan, memory O(n·(p + q) + p·q). Nothing is inverted: the error
    is a few eps, times mean/σ of a feature. Independent features score above 0, because the best plan picks among
    chance correlations: about √(2·ln(p)/n). Khosla and Williams 2024 (the correlation score beside their distance).
    """
    pair = rotated_moments(X, Y, products=products)
    return soft_match(pair, storage_eps=(stored_spacing(X), stored_spacing(Y)))[0]


def soft_match(pair: PairMoments, *, storage_eps: StorageEps = EPS64) -> tuple[float, int]:
    """Return the score of a pair from its moments, as `soft_matching`, and how many features were left out."""
    variation_of(pair, "soft_matching")
    eps_x, eps_y = by_side(storage_eps)
    x, y = _Features.of(pair.x, eps_x, "source"), _Features.of(pair.y, eps_y, "target")
    cross = pair.xy
    # Rows that are wider than there are samples are held in coordinates, which is not what is matched.
    if pair.x.neurons is not None:
        cross = pair.x.neurons.basis @ cross
    if pair.y.neurons is not None:
        cross = cross @ pair.y.neurons.basis.T
    correlations = np.asarray(cross)[np.ix_(x.vary, y.vary)]
    # One after the other, so that the product of two large norms cannot overflow.
    correlations /= x.norms[x.vary, None]
    correlations /= y.norms[None, y.vary]
    score = best_transport(correlations, index="soft_matching")
    return within(score, -1.0, 1.0, index="soft_matching"), x.n_dead + y.n_dead


@dataclass(frozen=True, eq=False)
class _Features:
    """The features of one side, one by one.

    Attributes
    ----------
    norms
        Of each centred column, ``[p]``.
    vary
        Which of them vary beyond rounding, ``[p]``.
    """

    norms: Float64
    vary: npt.NDArray[np.bool_]

    @property
    def n_dead(self) -> int:
        """How many have no correlation with anything."""
        return int(np.count_nonzero(~self.vary))

    @classmethod
    def of(cls, moments: Moments, storage_eps: float, side: str) -> _Features:
        """Return the features that moments are of. Raises UndefinedIndexError where none varies, MomentsError."""
        neurons = moments.neurons
        if neurons is None:
            squares, mean = np.diagonal(np.asarray(moments.comoment)), np.asarray(moments.mean)
        else:
            rows, mean = np.asarray(neurons.rows), np.asarray(neurons.mean)
            if len(rows) != moments.n:
                raise MomentsError(
                    where="soft_matching",
                    expected="moments of features",
                    found=f"moments of coordinates of the {side}, without the rows of its features",
                    remedy="Do not narrow the rows: this index is not invariant to rotation.",
                )
            squares = np.vecdot(rows.T, rows.T)
        norms = np.sqrt(np.clip(squares, 0.0, None))
        vary = norms > _least_norms(moments.n, mean, storage_eps)
        if not vary.any():
            raise UndefinedIndexError(
                status="constant",
                where="soft_matching",
                expected=f"a {side} with features that vary above the precision they were stored with",
                found=f"none of {len(vary)} at a storage precision of {storage_eps:.1e}",
                remedy="Store the layer in a wider dtype, or leave it out.",
            )
        return cls(norms, vary)


def _least_norms(n: int, mean: Float64, storage_eps: float) -> Float64:
    """Return what the norm of a centred column must exceed: the rounding of n values of that mean."""
    return np.asarray(max(_ROUNDING * EPS64, storage_eps) * np.sqrt(n) * np.abs(mean))


def _score(analysis: Analysis, _: Measure) -> IndexValue:
    score, dead = soft_match(analysis.pair, storage_eps=analysis.storage_eps)
    # The same words in both directions: a symmetric number is computed once.
    remark = f"left out, because they do not vary: {dead} features of both layers together" if dead else None
    return IndexValue(score, remark=remark)


def _scores(batch: PairBatch, _: Measure) -> BatchValues | None:
    """Return the scores of pairs all of whose features vary; the formula of one pair has a remark on the others."""
    if batch.x.largest is not None or batch.y.largest is not None:
        return None  # coordinates, not features
    x, y = batch.x.sizes, batch.y.sizes
    vary = batch.varying & _all_vary(batch.x)[batch.ix] & _all_vary(batch.y)[batch.iy]
    values = np.full(len(batch), np.nan)
    for place in np.flatnonzero(vary):
        correlations = batch.xy[place] / x[batch.ix[place], :, None]
        correlations /= y[batch.iy[place]]
        with suppress(UndefinedIndexError):  # refused once more, with its reason, for that pair alone
            values[place] = best_transport(correlations, index="soft_matching")
    return BatchValues(vouched(values, vary, -1.0, 1.0))


def _all_vary(layers: LayerBatch) -> Flags:
    """Return the layers all of whose features certainly vary, ``[L]``."""
    least = [
        _least_norms(layers.n, mean, eps) for mean, eps in zip(layers.mean, layers.storage_eps, strict=True)
    ]
    return np.asarray((layers.sizes > DOUBT * np.array(least)).all(axis=1))


SOFT_MATCHING = Index(
    Measure(
        name="soft_matching",
        label="Soft matching",
        meaning="Mean correlation of single features under the best transport between those of either side, which for "
        "equal widths pairs them one with one. Sees the axes of features, which no index that allows rotations does. "
        "Features that do not vary are left out, with a remark. Chance alone gives about √(2·ln(p)/n).",
        kind="index",
        computed_from="moments",
        range=(-1.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=_FEATURE_BY_FEATURE,
        target_invariances=_FEATURE_BY_FEATURE,
        # A plan is the best for these images: what that owes to chance is not smooth, and goes with their number.
        interval="sample",
        cost="about O(p·q·max(p, q))",
        literature="Khosla and Williams 2024",
    ),
    of_moments=_score,
    of_batch=_scores,
)
