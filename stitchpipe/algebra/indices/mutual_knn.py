"""Mutual k-nearest neighbours: the share of a sample's neighbours that two layers agree on."""

from __future__ import annotations

from stitchpipe.algebra.certainty.permutation_null import neighbour_null
from stitchpipe.algebra.index import Index
from stitchpipe.algebra.inputs import Array, paired_rows
from stitchpipe.algebra.samples.grams import SampleGram
from stitchpipe.algebra.samples.neighbours import NEIGHBOURS, NeighbourSets, mutual_neighbours
from stitchpipe.measures import Measure


def mutual_knn(X: Array, Y: Array, *, k: int = NEIGHBOURS) -> float:
    """Return the mean share of common neighbours, Σᵢ|Nᵢ(X) ∩ Nᵢ(Y)|/(n·k), of ``X [n, p]``, ``Y [n, q]``.

    Nᵢ are the k other samples with the largest cosine to sample i, rows as they came (not centred); in [0, 1].
    Where t samples are tied for the last u places each counts u/t, so that nothing depends on the order of the
    samples; a layer with such ties has less than 1 with itself. One row per image.

    Raises
    ------
    RowsError
        Unusable arrays, k < 1.
    UndefinedIndexError
        ``too_few_rows`` (n < k + 2: all others are neighbours); ``constant``; ``degenerate`` (a sample is zero,
        or all cosines are equal).

    Notes
    -----
    Time O(n²·(p + q + log n)), memory O(n²). Cosines within 2⁻⁴⁰ of each other may count as tied. Independent
    layers have k/(n − 1). Huh et al. 2024.
    """
    X, Y = paired_rows(X, Y)
    x, y = (NeighbourSets.of(SampleGram.from_block(rows), k=k) for rows in (X, Y))
    return float(mutual_neighbours([x], [y])[0, 0])


MUTUAL_KNN = Index(
    Measure(
        name="mutual_knn",
        label="Mutual k-nearest neighbours",
        meaning=f"Mean share of the {NEIGHBOURS} nearest neighbours, by cosine, that an image has in both "
        f"representations. Chance is {NEIGHBOURS}/(m − 1). Computed on m ≤ 2,000 images.",
        kind="index",
        computed_from="samples",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=frozenset({"scaling", "permutation", "rotation"}),
        target_invariances=frozenset({"scaling", "permutation", "rotation"}),
        independent_rows=True,
        null="permuted_images",
        cost="O(m·k) per pair, m ≤ 2,000 images; O(m²·p) once per side",
        literature="Huh et al. 2024",
    ),
    of_gram=NeighbourSets.of,
    permuted=neighbour_null,
)
