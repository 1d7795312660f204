"""How far the features of a stitched network are from its target's, where the target has no logits."""

from __future__ import annotations

from stitchpipe.measures import Measure, Number

NO_LOGITS = Number.missing("not_applicable", "the target network gives features, no logits")
"""Of the measures that compare answers of classifiers."""

FEATURE_DISTANCE = Measure(
    name="stitch_feature_distance",
    label="distance of features",
    meaning="‖h − g‖/‖g‖ of each image, mean over images: h the features that the stitched network gives, g the "
    "target's own; 0 is the same features. Only of targets without a classifier.",
    kind="fidelity",
    computed_from="stitched_logits",
    range=(0.0, float("inf")),
    larger_is_more_similar=False,
    cost="O(n·features), and a second pass through what is behind the stitch",
)
