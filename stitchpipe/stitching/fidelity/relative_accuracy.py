"""How often a stitched network is right, over how often its target is."""

from __future__ import annotations

from stitchpipe.algebra.certainty import ratio_limits
from stitchpipe.measures import Measure, Number
from stitchpipe.stitching.fidelity.accuracy import hits
from stitchpipe.stitching.fidelity.answers import Answers, Fidelity, limited

NEVER_RIGHT = Number.missing("constant", "the target network itself is never right")


def relative_accuracy(stitched: float, native: float) -> Number:
    """Return stitched accuracy over the target network's own; no number where that network is never right.

    May exceed 1: a stitched network can be better than its target.
    """
    return Number(stitched / native) if native > 0.0 else NEVER_RIGHT


def of(answers: Answers) -> Number:
    """Return the relative accuracy of the stitched network; of images in groups with limits over these."""
    reached, native = (hits(logits, answers.labels) for logits in (answers.logits, answers.native))
    number = relative_accuracy(float(reached.mean()), float(native.mean()))
    if answers.groups is None or number.value is None:
        return number
    return limited(number, ratio_limits(reached, native, answers.groups))


RELATIVE_ACCURACY = Fidelity(
    Measure(
        name="stitch_relative_accuracy",
        label="relative accuracy",
        meaning="Accuracy of the stitched network over the accuracy of the target network, on the same images. 1 is as "
        "good as unstitched; it may be more.",
        kind="fidelity",
        computed_from="stitched_logits",
        range=(0.0, float("inf")),
        larger_is_more_similar=True,
        cost="O(n·classes)",
        literature="Balogh and Jelasity 2025",
    ),
    of,
)
