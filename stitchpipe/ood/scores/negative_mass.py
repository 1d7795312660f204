"""How much of a stitched representation lies below zero, where natively nothing does."""

from __future__ import annotations

from stitchpipe.measures import Measure, Number
from stitchpipe.ood.score import Fitted, Native, Score

SIGNED = Number.missing("not_applicable", "the target layer's own values are not all ≥ 0")
ZERO = Number.missing("constant", "the target layer's own values are all 0")


def fit(native: Native) -> Fitted:
    """Return the share of a stitch's absolute mass below zero, Σ|min(x, 0)| / Σ|x|; only behind a ReLU and the like."""
    # A negative value is only foreign to a layer that never has one, as behind a ReLU.
    seen = native.train.features, native.test.features
    if any(features.negative for features in seen):
        return lambda _: SIGNED
    if not any(features.absolute for features in seen):
        return lambda _: ZERO
    return lambda stitched: Number(stitched.observed.features.negative_mass)


NEGATIVE_MASS = Score(
    measure=Measure(
        name="ood_negative_mass",
        label="negative mass",
        meaning="Share of the stitched activations' absolute mass below zero, behind a ReLU, where natively there is "
        "none.",
        kind="ood",
        computed_from="stitched_rows",
        range=(0.0, 1.0),
        larger_is_more_similar=False,
        cost="O(values)",
    ),
    fit=fit,
)
