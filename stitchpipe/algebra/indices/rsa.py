"""Representational similarity analysis: whether two layers order the dissimilarities of the samples alike."""

from __future__ import annotations

from stitchpipe.algebra.errors import UndefinedIndexError
from stitchpipe.algebra.index import Index
from stitchpipe.algebra.inputs import Array, namespace, paired_rows
from stitchpipe.algebra.samples.grams import SampleGram
from stitchpipe.algebra.samples.sample_matrix import SampleMatrix, alignment, lower_triangle
from stitchpipe.algebra.samples.similarities import correlations
from stitchpipe.measures import Measure


def rsa(X: Array, Y: Array) -> float:
    """Return RSA of paired rows ``X [n, p]``, ``Y [n, q]``: Spearman's ρ of their correlation RDMs, in [−1, 1].

    The dissimilarity of two samples is 1 minus Pearson's correlation of their rows, taken over features as they
    came (neither centred nor scaled by feature); ρ is over the n(n−1)/2 pairs of samples, mid-ranks for ties.
    One row per image.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``too_few_rows`` (n < 3); ``degenerate`` (a sample is constant over its features, as always for a single
        feature, or all dissimilarities are equal); ``constant``.

    Notes
    -----
    Time O(n²·(p + q + log n)), memory O(n²). Dissimilarities within 2⁻⁴⁰ of each other may count as tied.
    Kriegeskorte, Mur and Bandettini 2008.
    """
    X, Y = paired_rows(X, Y)
    return alignment(*(ranked_dissimilarities(SampleGram.from_block(rows)) for rows in (X, Y)))


def ranked_dissimilarities(gram: SampleGram) -> SampleMatrix:
    """Return a layer's matrix for RSA: ranks of its dissimilarities, centred, of norm 1. Time O(n²·log n).

    Raises
    ------
    UndefinedIndexError
        As `rsa`.
    """
    if gram.n < 3:
        raise UndefinedIndexError(
            status="too_few_rows",
            where="rsa",
            expected="n ≥ 3 samples, which have more than one dissimilarity",
            found=f"n = {gram.n}",
            remedy="Compare on more samples.",
        )
    gram.variation("rsa")
    xp = namespace(gram.products)
    similarities = correlations(gram, index="rsa")
    diagonal = xp.eye(gram.n, dtype=xp.bool, device=similarities.device)
    pairs = lower_triangle(xp, gram.n, similarities.device) & ~diagonal
    # ranks of the correlations: those of 1 minus them in reverse, with the same inner products
    ranks = mid_ranks(similarities[pairs])
    ranks = ranks - xp.mean(ranks)
    matrix = xp.zeros(similarities.shape, dtype=ranks.dtype, device=ranks.device)
    matrix[pairs] = ranks
    return SampleMatrix.of(matrix + matrix.T, index="rsa")


def mid_ranks(values: Array) -> Array:
    """Return the ranks 1 … m of ``[m]``, tied values sharing the mean of theirs. Time O(m·log m)."""
    xp = namespace(values)
    order = xp.argsort(values)
    ordered = xp.take(values, order)
    below, up_to = (xp.searchsorted(ordered, ordered, side=side) for side in ("left", "right"))
    ranks = xp.zeros(values.shape, dtype=xp.float64, device=values.device)
    ranks[order] = 0.5 * xp.astype(below + up_to + 1, xp.float64)
    return ranks


RSA = Index(
    Measure(
        name="rsa",
        label="RSA, Spearman of correlation RDMs",
        meaning="Rank correlation of the two matrices of dissimilarity (1 − Pearson correlation) between images. "
        "Computed on m ≤ 2,000 images.",
        kind="index",
        computed_from="samples",
        range=(-1.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=frozenset({"scaling", "permutation"}),
        target_invariances=frozenset({"scaling", "permutation"}),
        independent_rows=True,
        null="permuted_images",
        cost="O(m²) per pair, m ≤ 2,000 images; O(m²·p) and a sort once per side",
        literature="Kriegeskorte et al. 2008",
    ),
    of_gram=ranked_dissimilarities,
)
