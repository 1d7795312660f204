"""How far the probabilities of a stitched network are from its target's."""

from __future__ import annotations

import numpy as np

from stitchpipe.measures import Measure, Number
from stitchpipe.stitching.fidelity.answers import Answers, Fidelity


def of(answers: Answers) -> Number:
    """Return KL(target's probabilities ‖ stitched ones), mean over images, in nats."""
    from scipy.special import log_softmax  # noqa: PLC0415 - a quarter of a second, which no query should cost

    p, q = (log_softmax(logits.astype(np.float64), axis=1) for logits in (answers.native, answers.logits))
    return Number(max(0.0, float((np.exp(p) * (p - q)).sum(axis=1).mean())))  # rounding can fall below 0


KL = Fidelity(
    Measure(
        name="stitch_kl",
        label="KL from the target",
        unit="nat",
        meaning="KL divergence of the stitched network's probabilities from the target's own, mean over images, in "
        "nats; 0 is the same answers.",
        kind="fidelity",
        computed_from="stitched_logits",
        range=(0.0, float("inf")),
        larger_is_more_similar=False,
        cost="O(n·classes)",
        literature="Klabunde et al. 2025",
    ),
    of,
)
