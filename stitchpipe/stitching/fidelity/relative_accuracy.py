"""How often a stitched network is right, over how often its target is."""

from __future__ import annotations

from stitchpipe.measures import Measure, Number
from stitchpipe.stitching.fidelity.accuracy import accuracy
from stitchpipe.stitching.fidelity.answers import Answers, Fidelity

NEVER_RIGHT = Number.missing("constant", "the target network itself is never right")


def relative_accuracy(stitched: float, native: float) -> Number:
    """Return stitched accuracy over the target network's own; no number where that network is never right.

    May exceed 1: a stitched network can be better than its target.
    """
    return Number(stitched / native) if native > 0.0 else NEVER_RIGHT


def of(answers: Answers) -> Number:
    """Return the relative accuracy of the stitched network."""
    reached, native = (accuracy(logits, answers.labels) for logits in (answers.logits, answers.native))
    return relative_accuracy(reached, native)


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
