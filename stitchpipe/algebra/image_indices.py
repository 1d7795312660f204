"""Descriptions of the indices that are no function of moments: from images, minibatches of them, or logits.

They compare images, one row each, and their functions take those, not a `PairMoments`.
"""

from __future__ import annotations

from stitchpipe.measures import ISOTROPIC, NO_INVARIANCE, Basis, Measure, Null, Transformation

_IMAGES = "m ≤ 2,000 images"


def _of_images(  # noqa: PLR0913 - one argument per thing to know
    name: str,
    label: str,
    computed_from: Basis,
    invariances: frozenset[Transformation],
    *,
    meaning: str,
    cost: str,
    literature: str,
    lowest: float,
    null: Null | None = None,
) -> Measure:
    """Describe a symmetric similarity of images."""
    return Measure(
        kind="index",
        null=null,
        name=name,
        label=label,
        meaning=meaning,
        symmetric=True,
        metric=False,
        larger_is_more_similar=True,
        range=(lowest, 1.0),
        source_invariances=invariances,
        target_invariances=invariances,
        cost=cost,
        literature=literature,
        independent_rows=True,
        computed_from=computed_from,
    )


IMAGE_INDICES = (
    _of_images(
        "cka_rbf",
        "RBF CKA, debiased",
        "samples",
        ISOTROPIC,
        null="permuted_images",
        meaning="Alignment of the two Gaussian kernel matrices, debiased; the bandwidth of either side is the median "
        f"distance of its images. Computed on {_IMAGES}.",
        cost=f"O(m²) per pair, {_IMAGES}; O(m²·p) once per side",
        literature="Kornblith et al. 2019; Song et al. 2012",
        lowest=-1.0,
    ),
    _of_images(
        "cka_minibatch",
        "Minibatch CKA",
        "minibatches",
        ISOTROPIC,
        meaning="Linear CKA of unbiased estimates averaged over minibatches, for widths and sample counts beyond the "
        "other forms. Its expectation depends on the size of the batches only through the ratio.",
        cost="O(1) per pair; O(b²·p) for every batch of b images",
        literature="Nguyen et al. 2021",
        lowest=-1.0,
    ),
    _of_images(
        "mutual_knn",
        "Mutual k-nearest neighbours",
        "samples",
        frozenset({"scaling", "rotation"}),
        null="permuted_images",
        meaning="Mean share of the 10 nearest neighbours, by cosine, that an image has in both representations. "
        f"Chance is 10/(m − 1). Computed on {_IMAGES}.",
        cost=f"O(m·k) per pair, {_IMAGES}; O(m²·p) once per side",
        literature="Huh et al. 2024",
        lowest=0.0,
    ),
    _of_images(
        "rsa",
        "RSA, Spearman of correlation RDMs",
        "samples",
        frozenset({"scaling"}),
        null="permuted_images",
        meaning="Rank correlation of the two matrices of dissimilarity (1 − Pearson correlation) between images. "
        f"Computed on {_IMAGES}.",
        cost=f"O(m²) per pair, {_IMAGES}; O(m²·p) and a sort once per side",
        literature="Kriegeskorte et al. 2008",
        lowest=-1.0,
    ),
    _of_images(
        "agreement",
        "Agreement of predictions",
        "logits",
        NO_INVARIANCE,
        meaning="Share of images for which both networks predict the same class, from stored logits. Chance and "
        "accuracy set its scale: two good classifiers agree.",
        cost="O(n) per pair",
        literature="Geirhos et al. 2020; Klabunde et al. 2025",
        lowest=0.0,
    ),
)
