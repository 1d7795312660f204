"""Permutation nulls of the linear indices, by whichever of two exact routes takes fewer operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.algebra.certainty.exchange import PERMUTATIONS
from stitchpipe.algebra.certainty.permutation_null import (
    PermutationNull,
    checked_orders,
    permuted_products,
)
from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.inputs import Array, namespace
from stitchpipe.algebra.samples.sample_matrix import SampleMatrix, within_unit
from stitchpipe.measures import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stitchpipe.algebra.samples.scores import PrincipalScores

LinearIndex: TypeAlias = Literal["cka", "cka_biased", "cca_sq"]
LINEAR_INDICES: tuple[LinearIndex, ...] = ("cka", "cka_biased", "cca_sq")
"""What principal scores are enough for."""

Route: TypeAlias = Literal["features", "grams"]

_THIN = 2.5  # how much slower a product of L_x by L_y runs than one of P_x by P_y; measured, see DESIGN.md
_GATHER = 70.0  # floating-point operations in the time of gathering one number


@dataclass(frozen=True)
class NullCost:
    """Operations of either route, in floating-point operations of a large matrix product."""

    features: float
    grams: float

    @property
    def cheaper(self) -> Route:
        """The route with fewer operations."""
        return "features" if self.features <= self.grams else "grams"


def linear_null_cost(
    n: int,
    widths_x: Sequence[int],
    widths_y: Sequence[int],
    *,
    kernels: int = 1,
    permutations: int = PERMUTATIONS,
) -> NullCost:
    """Return what the null of layers of these widths costs by either route.

    Features: 2·n·P_x·P_y for each permutation, P the total widths, whatever the number of indices. Grams: n²·L_x·L_y
    and a gather of n²/2 entries of each layer of the shorter side, for each of `kernels` (one for both forms of CKA,
    one for CCA), after 2·n² for each feature. Grams are cheaper where layers are wider than √n to 4·√n, the fewer
    layers the wider.
    """
    p, q = sum(widths_x), sum(widths_y)
    layers = len(widths_x) * len(widths_y)
    # By features, each order costs one product of P_x×n by n×P_y. The sums over blocks that follow are
    # products with L_x thin columns for each kernel.
    features = (permutations + 1) * p * q * (2.0 * n + 2.0 * kernels * len(widths_x))
    # By Grams, the kernels of the shorter side are gathered into the new order. Then every pair is one
    # inner product over the lower triangle, which has n²/2 entries.
    gathered = _GATHER * min(len(widths_x), len(widths_y))
    pairs = (permutations + 1) * 0.5 * n * n * (2.0 * _THIN * layers + gathered)
    return NullCost(features, kernels * (pairs + 2.0 * n * n * (p + q)))


def linear_nulls(
    sources: Sequence[PrincipalScores],
    targets: Sequence[PrincipalScores],
    orders: Array,
    *,
    indices: Sequence[str] = LINEAR_INDICES,
    route: Route | None = None,
) -> Mapping[str, PermutationNull]:
    """Return linear CKA and mean squared CCA of all pairs, with their nulls.

    Parameters
    ----------
    sources, targets
        On the same samples, one row per image.
    orders
        ``[K, n]``, as for `permutation_null`.
    indices
        Any of `LINEAR_INDICES`.
    route
        ``"features"``, ‖T_xᵀPT_y‖² of permuted rows; ``"grams"``, ⟨K_x, PᵀK_yP⟩ of n×n kernels; by default the
        cheaper (`linear_null_cost`). They agree to rounding.

    Raises
    ------
    RowsError
        Scores of different samples; rows of `orders` that are no permutations of them.
    UnknownNameError
        Another index.

    Notes
    -----
    Pairs without a value are in `PermutationNull.undefined`: debiased CKA as `cka`, CCA where rank X + rank Y >
    n − 1. Memory O(n·(P_x + P_y) + P_x·P_y) by features, O(n²·(L_x + L_y)) by Grams.
    """
    _check(sources, targets, indices)
    n, xp = sources[0].n, namespace(sources[0].scores, targets[0].scores)
    drawn = checked_orders(orders, n, like=sources[0].scores)
    # The identity goes first among the orders, so that the observed values come out of the same sums as
    # those under permutation.
    identity = xp.arange(n, dtype=drawn.dtype, device=drawn.device)[None, :]
    # Both forms of CKA rest on one kernel, which is worked only once.
    kernels = [kernel for kernel in _KERNELS if any(_NEEDS[index] == kernel for index in indices)]
    if route is None:
        widths = [[layer.width for layer in side] for side in (sources, targets)]
        cost = linear_null_cost(n, *widths, kernels=len(kernels), permutations=drawn.shape[0])
        route = cost.cheaper
    task = _Task(sources, targets, xp.concat([identity, drawn]))
    by_route = _by_features if route == "features" else _by_grams
    products = by_route(task, kernels)
    return {index: _FINISH[index](task, products[_NEEDS[index]]) for index in indices}


@dataclass(frozen=True, eq=False)
class _Task:
    """Two sides and the orders, the identity first."""

    sources: Sequence[PrincipalScores]
    targets: Sequence[PrincipalScores]
    orders: Array

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return [(x, y) for x in range(len(self.sources)) for y in range(len(self.targets))]


_KERNELS: Mapping[str, Callable[[PrincipalScores], Array]] = {
    "linear": lambda layer: namespace(layer.variances).ones_like(layer.variances),
    "projector": lambda layer: layer.whitening(),
}
"""Weights w ``[r]`` of a layer's directions in its n×n kernel T diag(w) Tᵀ."""

_NEEDS = {"cka": "linear", "cka_biased": "linear", "cca_sq": "projector"}


def _by_features(task: _Task, kernels: Sequence[str]) -> dict[str, Array]:
    """Return ⟨T_x diag(w) T_xᵀ, Pᵀ T_y diag(w) T_yᵀ P⟩ = Σ wᵢwⱼ(T_xᵀPT_y)²ᵢⱼ over the block of each pair.

    ``[K, L_x, L_y]`` for each kernel: a product of all layers side by side, and a thin one that sums the blocks.
    """
    xp = namespace(task.orders)
    left = xp.concat([layer.scores for layer in task.sources], axis=1).T
    right = xp.concat([layer.scores for layer in task.targets], axis=1)
    sums = {
        kernel: (
            _block_columns(task.sources, _KERNELS[kernel]).T,
            _block_columns(task.targets, _KERNELS[kernel]),
        )
        for kernel in kernels
    }
    products: dict[str, list[Array]] = {kernel: [] for kernel in kernels}
    # The matrix T_xᵀPT_y of all layers side by side holds the block of every pair. Rows of the target are
    # reordered, which is P applied from the left.
    for k in range(task.orders.shape[0]):
        cross = left @ xp.take(right, task.orders[k, :], axis=0)
        cross = cross * cross
        # The columns of weights are zero outside their own layer's block, so these two thin products sum
        # wᵢwⱼ(·)² over each block alone.
        for kernel, (of_sources, of_targets) in sums.items():
            products[kernel].append(of_sources @ cross @ of_targets)
    return {kernel: xp.stack(of_orders) for kernel, of_orders in products.items()}


def _by_grams(task: _Task, kernels: Sequence[str]) -> dict[str, Array]:
    """Return the same from the n×n kernels themselves: ⟨K_x, PᵀK_yP⟩, K = T diag(w) Tᵀ."""
    xp = namespace(task.orders)
    products = {}
    for kernel in kernels:
        # A layer that stands on both sides is the same object, and its n×n kernel is packed once.
        packed = {id(layer): _packed(layer, kernel) for layer in [*task.sources, *task.targets]}
        sources, targets = ([packed[id(layer)] for layer in side] for side in (task.sources, task.targets))
        cosines = permuted_products([x.matrix for x in sources], [y.matrix for y in targets], task.orders)
        norms_x, norms_y = xp.stack([x.norm for x in sources]), xp.stack([y.norm for y in targets])
        # The packed kernels had norm 1. Their norms are multiplied back in to give the plain inner products
        # that the other route gives.
        products[kernel] = cosines * norms_x[None, :, None] * norms_y[None, None, :]
    return products


@dataclass(frozen=True, eq=False)
class _Packed:
    """T diag(w) Tᵀ scaled to norm 1, and its norm: that of wλ, since T has orthogonal columns."""

    matrix: SampleMatrix
    norm: Array


def _packed(layer: PrincipalScores, kernel: str) -> _Packed:
    weights = _KERNELS[kernel](layer)
    matrix = SampleMatrix.of((layer.scores * weights[None, :]) @ layer.scores.T, index=kernel)
    return _Packed(matrix, namespace(weights).linalg.vector_norm(weights * layer.variances))


def _block_columns(layers: Sequence[PrincipalScores], weights: Callable[[PrincipalScores], Array]) -> Array:
    """Return ``[P, L]``, column l holding the weights of layer l at its own places."""
    xp = namespace(layers[0].scores)
    width = sum(layer.width for layer in layers)
    columns = xp.zeros((width, len(layers)), dtype=xp.float64, device=layers[0].scores.device)
    first = 0
    for number, layer in enumerate(layers):
        columns[first : first + layer.width, number] = weights(layer)
        first += layer.width
    return columns


def _biased(_: _Task, products: Array) -> PermutationNull:
    """Return ‖M‖²: the scores of both sides are scaled so that their own kernels have norm 1 (`PrincipalScores`)."""
    return _null("cka_biased", products, {})


def _debiased(task: _Task, products: Array) -> PermutationNull:
    """Return (‖M‖² − n/(n−2)·Σkᵢl_π(i) + Σk·Σl/((n−1)(n−2))) over the norms of both sides.

    That is n(n−3)·HSIC_u of Song et al. (2012), of linear kernels about the mean. Only its first two terms depend on
    the order π; each side's own, its norm, does not.
    """
    xp, n = namespace(products), task.sources[0].n
    norms, totals, scales = [], [], []
    undefined: dict[tuple[int, int], UndefinedIndexError] = {}
    for side, of_side in ((task.sources, 0), (task.targets, 1)):
        norms.append(xp.stack([layer.squared_norms for layer in side]))
        totals.append(xp.sum(norms[-1], axis=1))
        scale = xp.ones(len(side), dtype=xp.float64, device=products.device)
        for number, layer in enumerate(side):
            try:
                # An undefined layer keeps the scale 1, so that its pairs are divided by something and are
                # set aside by `undefined`.
                scale[number] = layer.debiased_norm()
            except UndefinedIndexError as error:
                undefined |= {pair: error for pair in task.pairs if pair[of_side] == number}
        scales.append(scale)
    # The middle term Σkᵢl_π(i) takes the diagonal out of the kernels. It depends on the order, because the
    # diagonals are permuted against each other.
    hollow = xp.stack(
        [norms[0] @ xp.take(norms[1], task.orders[k, :], axis=1).T for k in range(task.orders.shape[0])]
    )
    # With n ≤ 2 the corrections have no denominator. All pairs are in `undefined` then, and their values
    # are overwritten by `_null`.
    if n > 2:
        constant = totals[0][:, None] * totals[1][None, :] / ((n - 1) * (n - 2))
        products = products - n / (n - 2) * hollow + constant[None, :, :]
    return _null("cka", products / scales[0][:, None] / scales[1][None, :], undefined)


def _correlations(task: _Task, products: Array) -> PermutationNull:
    """Return ‖Q_xᵀPQ_y‖²/min(rank X, rank Y): the mean of ρ², Q orthonormal bases of both sides.

    With w = 1/λ the projector is QQᵀ = T diag(1/λ) Tᵀ, so that the products are already those of the bases.
    """
    xp, n = namespace(products), task.sources[0].n
    ranks = [[layer.rank for layer in side] for side in (task.sources, task.targets)]
    smaller = xp.asarray(
        [[float(max(1, min(x, y))) for y in ranks[1]] for x in ranks[0]], device=products.device
    )
    undefined = {}
    for x, y in task.pairs:
        counted = ranks[0][x] + ranks[1][y]
        if not (ranks[0][x] and ranks[1][y]):
            undefined[x, y] = UndefinedIndexError(
                status="constant",
                where="cca_sq",
                expected="variation above the precision it was stored with on both sides",
                found=f"rank {ranks[0][x]} and {ranks[1][y]}",
                remedy="Store the layer in a wider dtype, or leave it out.",
            )
        elif counted > n - 1:
            undefined[x, y] = UndefinedIndexError(
                status="too_few_rows",
                where="cca_sq",
                expected=f"rank X + rank Y ≤ n − 1 = {n - 1}",
                found=f"{ranks[0][x]} + {ranks[1][y]} = {counted}",
                remedy="Use more samples or a narrower view; correlations of 1 are forced here.",
            )
    return _null("cca_sq", products / smaller[None, :, :], undefined)


_FINISH: Mapping[str, Callable[[_Task, Array], PermutationNull]] = {
    "cka": _debiased,
    "cka_biased": _biased,
    "cca_sq": _correlations,
}


def _null(
    index: str, values: Array, undefined: Mapping[tuple[int, int], UndefinedIndexError]
) -> PermutationNull:
    """Return the first order's values as observed and the others' as the null; 0 where undefined."""
    values = within_unit(values)
    for x, y in undefined:
        # The zero only fills the place. Readers ask `undefined` first.
        values[:, x, y] = 0.0
    return PermutationNull(index, values[0, ...], values[1:, ...], undefined)


def _check(
    sources: Sequence[PrincipalScores], targets: Sequence[PrincipalScores], indices: Sequence[str]
) -> None:
    for index in indices:
        if index not in LINEAR_INDICES:
            raise UnknownNameError(
                where="permutation null",
                expected="any of " + ", ".join(LINEAR_INDICES),
                found=repr(index),
                remedy="Other indices have nulls of their own: permutation_null, neighbour_null.",
            )
    counts = sorted({layer.n for layer in [*sources, *targets]})
    if not sources or not targets or len(counts) > 1:
        raise RowsError(
            where="permutation null",
            expected="at least one source and one target, on the same samples",
            found=f"{len(sources)} sources and {len(targets)} targets on {counts} samples",
            remedy="Work all layers on the same images in the same order.",
        )
