"""CKA under RBF kernels, whose width is the median distance of a layer's images."""

from __future__ import annotations

from math import sqrt

from stitchpipe.algebra.errors import RowsError, UndefinedIndexError
from stitchpipe.algebra.index import Index
from stitchpipe.algebra.inputs import Array, namespace, paired_rows
from stitchpipe.algebra.samples.grams import MOST_IMAGES, SampleGram
from stitchpipe.algebra.samples.order_statistics import in_order
from stitchpipe.algebra.samples.sample_matrix import SampleMatrix, aligned, alignment
from stitchpipe.measures import ISOTROPIC, Measure


def cka_rbf(X: Array, Y: Array, *, debiased: bool = True, bandwidth: float = 1.0) -> float:
    """Return CKA of paired rows ``X [n, p]``, ``Y [n, q]`` under RBF kernels.

    Kᵢⱼ = exp(−‖xᵢ − xⱼ‖²/(2σ²)), σ = `bandwidth` times the median distance of two samples (`median_distance`),
    for each side; then as `cka`: debiased in [−1, 1], biased in [0, 1].

    Parameters
    ----------
    X, Y
        Row i of X belongs with row i of Y; one row per image.
    debiased
        The unbiased estimator of HSIC in numerator and denominator.
    bandwidth
        σ as a multiple of the median distance.

    Raises
    ------
    RowsError
        Unusable arrays.
    UndefinedIndexError
        ``constant``; ``too_few_rows`` (n < 4, biased n < 2); ``degenerate`` (all samples equally far apart, or
        more than half of the pairs coincide).

    Notes
    -----
    Time O(n²·(p + q)), memory O(n²). Distances err by a few eps times the squared norms of the centred rows,
    and nothing is inverted. Kornblith et al. 2019; the median heuristic: Gretton et al. 2012.
    """
    X, Y = paired_rows(X, Y)
    x, y = SampleGram.from_block(X), SampleGram.from_block(Y)
    return alignment(
        rbf_kernel(x, debiased=debiased, bandwidth=bandwidth),
        rbf_kernel(y, debiased=debiased, bandwidth=bandwidth),
    )


def rbf_kernel(gram: SampleGram, *, debiased: bool = True, bandwidth: float = 1.0) -> SampleMatrix:
    """Return a layer's matrix for RBF CKA; inner products of two are what `cka_rbf` gives.

    Time O(n²·log n) for the median. Raises as `cka_rbf`.
    """
    index = "cka_rbf" if debiased else "cka_rbf_biased"
    if not bandwidth > 0.0:
        raise RowsError(
            where=index,
            expected="a bandwidth above 0, in median distances",
            found=f"bandwidth = {bandwidth!r}",
            remedy="Leave it at 1 unless the literature you compare with says otherwise.",
        )
    gram.variation(index)
    squared = gram.squared_distances()
    median = _median_root(squared)
    if not median:
        raise UndefinedIndexError(
            status="degenerate",
            where=index,
            expected="a median distance above 0",
            found="a layer in which at least half of the pairs of samples coincide",
            remedy="Use the linear kernel, or other samples.",
        )
    xp = namespace(gram.products)
    squared *= -0.5 / (bandwidth * median) ** 2
    return aligned(xp.exp(squared), index=index, debiased=debiased)


def median_distance(gram: SampleGram) -> float:
    """Return the median of ‖xᵢ − xⱼ‖ over pairs i < j: the mean of the middle two where their number is even.

    Of at most 2,000 samples, evenly spaced over all n. Time O(n²·log n).
    """
    return _median_root(gram.squared_distances())


def _median_root(squared: Array) -> float:
    """Return the median over pairs i < j of √squared ``[n, n]``, of evenly spaced samples where they are many."""
    xp = namespace(squared)
    step = -(-squared.shape[0] // MOST_IMAGES)
    squared = squared[::step, ::step]
    position = xp.arange(squared.shape[0], device=squared.device)
    apart = squared[position[:, None] < position[None, :]]
    pairs = int(apart.shape[0])
    middle = in_order(apart, [(pairs - 1) // 2, pairs // 2])
    return 0.5 * (sqrt(float(middle[0])) + sqrt(float(middle[1])))


CKA_RBF = Index(
    Measure(
        name="cka_rbf",
        label="RBF CKA, debiased",
        meaning="Alignment of the two Gaussian kernel matrices, debiased; the bandwidth of either side is the median "
        "distance of its images. Computed on m ≤ 2,000 images.",
        kind="index",
        computed_from="samples",
        range=(-1.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=ISOTROPIC,
        target_invariances=ISOTROPIC,
        independent_rows=True,
        null="permuted_images",
        closed_null=True,
        cost="O(m²) per pair, m ≤ 2,000 images; O(m²·p) once per side",
        literature="Kornblith et al. 2019; Song et al. 2012",
    ),
    of_gram=rbf_kernel,
)
