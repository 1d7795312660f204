"""How often a null finds what is not there: two models of some layers that see different images, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from stitchpipe.algebra import Moments, PairMoments
from stitchpipe.algebra.certainty import (
    LINEAR_INDICES,
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
        grams = [[SampleGram.from_block(rows) for rows in side] for side in sides]
        copies, seed = copies_of(cell.regime), int(rng.integers(2**31))
        together = None if copies == 1 else [(at, at + copies) for at in range(0, cell.n, copies)]
        orders = draw_permutations(cell.n, PERMUTATIONS, seed=seed, groups=together)
        told: dict[str, tuple[Float64, Float64]] = {}
        for index in indices_with_nulls():
            null = _permuted(index, grams, sides, orders)
            if null is None:
                continue
            told[f"{index.name} permuted"] = _in_family(null)
            if together is not None:
                continue  # the closed forms are not given: they take each image for exchangeable
            observed = np.asarray(null.observed)
            for kind, closed in _closed(index, grams, sides).items():
                p_values = closed.p_value(observed)
                one_family = np.zeros(p_values.size, np.int64)
                told[f"{index.name} {kind}"] = p_values, holm(p_values.ravel(), one_family)
        return told


def _permuted(
    index: Index, grams: Sequence[Sequence[SampleGram]], sides: Sequence[Sequence[Float64]], orders: Float64
) -> PermutationNull | None:
    """Return the permuted null of all pairs; None where the index has no value here."""
    try:
        if index.linear_null in LINEAR_INDICES:
            x, y = ([PrincipalScores.from_rows(rows) for rows in side] for side in sides)
            null = linear_nulls(x, y, orders, indices=(index.linear_null,))[index.linear_null]
        elif index.of_gram is not None:
            sources, targets = ([index.of_gram(gram) for gram in side] for side in grams)
            null = index.permuted(sources, targets, orders)
        else:
            return None
    except UndefinedIndexError:
        return None
    return None if null.undefined else null


def _in_family(null: PermutationNull) -> tuple[Float64, Float64]:
    """Return each pair's own p, and that of the largest of all pairs, which are one family."""
    observed, drawn = np.asarray(null.observed).ravel(), np.asarray(null.null).reshape(len(null.null), -1)
    scale = NullScale.of(drawn)
    _, maxima = family_maxima(scale.studentised(observed, drawn), np.zeros(observed.size, np.int64))
    own = np.asarray(null.calibrated(level=LEVEL).p_value).ravel()
    return own, calibrate_in_family(observed, scale, maxima[0], level=LEVEL).p_value


def _closed(
    index: Index, grams: Sequence[Sequence[SampleGram]], sides: Sequence[Sequence[Float64]]
) -> dict[str, ClosedNull]:
    """Return the closed forms that an index has: from Grams, and from sums over them that moments know."""
    if not index.measure.closed_null or index.of_gram is None:
        return {}
    x, y = (
        NullSums.of_numbers(
            side[0].n, np.stack([NullSums.of_matrix(index.of_gram(gram).whole).numbers for gram in side])
        )
        for side in grams
    )
    told = {"exact": closed_null(*x.across(y))}
    if index.null_moments is not None:
        own = [_sums(side) for side in sides]
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
