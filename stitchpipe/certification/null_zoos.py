"""How often a null finds what is not there: two models of some layers that see different images, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from stitchpipe.algebra import Moments, PairMoments
from stitchpipe.algebra.certainty import (
    GramSums,
    NullScale,
    NullSums,
    calibrate_in_family,
    closed_null,
    draw_permutations,
    family_maxima,
    holm,
    linear_nulls,
)
from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.moments import NormProducts
from stitchpipe.algebra.samples import PrincipalScores, SampleGram
from stitchpipe.certification.regimes import Model, copies_of
from stitchpipe.registry import index_named, indices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.algebra import Index
    from stitchpipe.algebra.certainty import ClosedNull, PermutationNull
    from stitchpipe.algebra.samples import SampleMatrix
    from stitchpipe.certification.cells import Cell
    from stitchpipe.certification.regimes import Float64

PERMUTATIONS: Final = 19
"""As few as reach the level: the test is exact for any number of them, and more would cost repeats."""
LEVEL: Final = 0.05


def indices_with_nulls() -> tuple[Index, ...]:
    """Return every index of the registry that has a null, each under one name."""
    measures = [measure for measure in indices()[0].values() if measure.null is not None]
    return tuple(index_named(measure.name) for measure in measures if measure.equals is None)


@dataclass(frozen=True, eq=False)
class NullTrial:
    """The zoos of a cell of nulls: images of one model are paired at random with those of the other."""

    cell: Cell
    seed: int

    def block(self, block: int, repeats: int) -> dict[str, dict[str, float]]:
        """Return by index and null (``permuted``, ``exact``, ``spectral``) how many pairs and zoos reached the level.

        ``exact`` and ``spectral`` are closed forms: with three exact moments, and with the third of the spectra.
        """
        rng = np.random.default_rng(self.cell.seed(self.seed, block))
        counts: dict[str, dict[str, float]] = {}
        for _ in range(repeats):
            for name, (p_values, in_family) in self._zoo(rng).items():
                of_null = counts.setdefault(name, {"repeats": 0, "pairs": 0, "pairs_found": 0, "found": 0})
                of_null["repeats"] += 1
                of_null["pairs"] += p_values.size
                of_null["pairs_found"] += int((p_values <= LEVEL).sum())
                of_null["found"] += int((in_family <= LEVEL).any())
        return counts

    def _zoo(self, rng: np.random.Generator) -> Mapping[str, tuple[Float64, Float64]]:
        """Return p-values of all pairs of one zoo, each pair's own and family-wise, by index and null."""
        cell, sizes = self.cell, (self.cell.layers // 2, -(-self.cell.layers // 2))
        sides: list[list[Float64]] = []
        for size in sizes:
            model = Model(cell.regime, cell.view, (cell.width,) * size, int(rng.integers(2**31)))
            sides.append(model.rows(rng, model.latent(rng, cell.n)))
        copies, seed = copies_of(cell.regime), int(rng.integers(2**31))
        together = None if copies == 1 else [(at, at + copies) for at in range(0, cell.n, copies)]
        orders = draw_permutations(cell.n, PERMUTATIONS, seed=seed, groups=together)
        # The closed forms are not given for images that belong together: they take each one for exchangeable.
        return zoo_p_values(sides, orders, closed=together is None)


def zoo_p_values(
    sides: Sequence[Sequence[Float64]], orders: Float64, *, closed: bool
) -> Mapping[str, tuple[Float64, Float64]]:
    """Return p-values of all pairs of two models, each pair's own and family-wise, by index and null.

    What a layer is worked into (its Gram, its matrix of each index, its principal scores) is worked once, and all
    pairs and indices share it and the orders, as in a run.

    Parameters
    ----------
    sides
        Rows ``[n, p]`` of each layer of either model: one row per image.
    orders
        ``[K, n]``, as for `permutation_null`.
    closed
        Whether closed forms are asked for beside the permutations.
    """
    grams = [[SampleGram.from_block(rows) for rows in side] for side in sides]
    own = [_sums(side) for side in sides] if closed else []
    linear = _linear(sides, orders)
    told: dict[str, tuple[Float64, Float64]] = {}
    for index in indices_with_nulls():
        worked = _sides(index, grams) if closed or index.linear_null is None else None
        null = linear.get(index.linear_null) if index.linear_null else None
        if null is None and worked is not None:
            null = index.permuted(*worked, orders)
        if null is None or null.undefined:
            continue
        told[f"{index.name} permuted"] = _in_family(null)
        if not closed or worked is None or not index.measure.closed_null:
            continue
        observed = np.asarray(null.observed)
        for kind, form in _closed(index, worked, own).items():
            p_values = form.p_value(observed)
            one_family = np.zeros(p_values.size, np.int64)
            told[f"{index.name} {kind}"] = p_values, holm(p_values.ravel(), one_family)
    return told


def _linear(sides: Sequence[Sequence[Float64]], orders: Float64) -> Mapping[str, PermutationNull]:
    """Return the permuted nulls of the indices that principal scores are enough for, which share their products."""
    wanted = [index.linear_null for index in indices_with_nulls() if index.linear_null is not None]
    try:
        x, y = ([PrincipalScores.from_rows(rows) for rows in side] for side in sides)
    except UndefinedIndexError:
        return {}
    return linear_nulls(x, y, orders, indices=wanted) if wanted else {}


def _sides(index: Index, grams: Sequence[Sequence[SampleGram]]) -> tuple[list[Any], list[Any]] | None:
    """Return what an index needs of each layer; None where it has no form of images, or no value of a layer."""
    if index.of_gram is None:
        return None
    try:
        x, y = ([index.of_gram(gram) for gram in side] for side in grams)
    except UndefinedIndexError:
        return None
    return x, y


def _in_family(null: PermutationNull) -> tuple[Float64, Float64]:
    """Return each pair's own p, and that of the largest of all pairs, which are one family."""
    observed, drawn = np.asarray(null.observed).ravel(), np.asarray(null.null).reshape(len(null.null), -1)
    scale = NullScale.of(drawn)
    _, maxima = family_maxima(scale.studentised(observed, drawn), np.zeros(observed.size, np.int64))
    own = np.asarray(null.calibrated(level=LEVEL).p_value).ravel()
    return own, calibrate_in_family(observed, scale, maxima[0], level=LEVEL).p_value


def _closed(
    index: Index, worked: tuple[Sequence[SampleMatrix], Sequence[SampleMatrix]], own: Sequence[GramSums]
) -> dict[str, ClosedNull]:
    """Return the closed forms that an index has: from its matrices, and from sums over Grams that moments know."""
    x, y = (
        NullSums.of_numbers(side[0].n, np.stack([NullSums.of_matrix(layer.whole).numbers for layer in side]))
        for side in worked
    )
    told = {"exact": closed_null(*x.across(y))}
    if index.null_moments is not None:
        spectral = index.closed_null(own[0].at((slice(None), None)), own[1].at((None, slice(None))))
        if spectral is not None:
            told["spectral"] = spectral
    return told


def _sums(layers: Sequence[Float64]) -> GramSums:
    """Return what moments say of the Grams of some layers."""
    sums = []
    for rows in layers:
        moments = Moments.from_block(rows)
        norms = float((((rows - moments.mean) ** 2).sum(axis=1) ** 2).sum())
        both = GramSums.of_pair(
            PairMoments(moments, moments, moments.comoment, NormProducts(norms, norms, norms))
        )
        if both is None:
            raise ValueError("a simulated layer that does not vary")
        sums.append(both[0])
    return GramSums(
        sums[0].n,
        np.stack([of.squares for of in sums]),
        np.stack([of.cubes for of in sums]),
        np.stack([of.diagonal for of in sums]),
    )
