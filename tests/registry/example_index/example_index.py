"""Two indices of a package of its own: one from moments of rows, and one from images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.algebra import Index, UndefinedIndexError
from stitchpipe.algebra.samples import aligned, cosines
from stitchpipe.measures import ISOTROPIC, LINEAR, Measure, Parameter

if TYPE_CHECKING:
    from stitchpipe.algebra import Analysis
    from stitchpipe.algebra.samples import SampleGram, SampleMatrix


def explained(analysis: Analysis, measure: Measure) -> float:
    """Return ‖Q_xᵀỸ‖²/‖Ỹ‖², Q_x an orthonormal basis of the leading directions of the centred source.

    Time O(p·q·r) for r directions, beside the source's spectrum.
    """
    pair, directions = analysis.pair, analysis.pair.x.retained()
    if not (directions.rank and pair.y.total):
        raise UndefinedIndexError(
            status="constant",
            where=measure.name,
            expected="a source and a target that vary",
            found=f"{pair.n} equal rows",
            remedy="Leave this layer out.",
        )
    share = measure.parameter.value if measure.parameter else 1.0
    whitened = directions.explaining(share).whitening().T @ pair.xy
    return float((whitened * whitened).sum()) / pair.y.total


def centred_cosines(gram: SampleGram) -> SampleMatrix:
    """Return a layer's cosines between images, centred; the inner product of two layers' is the index."""
    return aligned(cosines(gram, index="cosine_alignment"), index="cosine_alignment", debiased=False)


LINEAR_REGRESSION = Index(
    Measure(
        name="linear_regression",
        label="Linear regression, R²",
        meaning="Share of the target's variance that a linear regression on the source explains, in-sample.",
        kind="index",
        computed_from="moments",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        source_invariances=LINEAR,
        target_invariances=ISOTROPIC,
        interval="population",
        parameter=Parameter(
            symbol="v",
            meaning="the share of the source's variance that is regressed on",
            value=1.0,
            largest=1.0,
            label="{:g} of the variance",
        ),
        cost="O(p·q·r), and O(p³) once per side",
        literature="Kornblith et al. 2019",
    ),
    of_moments=explained,
)

COSINE_ALIGNMENT = Index(
    Measure(
        name="cosine_alignment",
        label="Alignment of cosines",
        meaning="Alignment of the two matrices of cosines between images.",
        kind="index",
        computed_from="samples",
        range=(-1.0, 1.0),
        larger_is_more_similar=True,
        symmetric=True,
        source_invariances=frozenset({"scaling", "rotation"}),
        target_invariances=frozenset({"scaling", "rotation"}),
        independent_rows=True,
        null="permuted_images",
        cost="O(m²) per pair, m ≤ 2,000 images",
        literature="",
    ),
    of_gram=centred_cosines,
)
