"""How often a stitched network answers as its target does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.measures import Measure
from stitchpipe.stitching.fidelity.answers import Answers, Fidelity, share

if TYPE_CHECKING:
    from stitchpipe.measures import Number


def of(answers: Answers) -> Number:
    """Return the share of images whose largest logit is the same in both networks; the first of equals counts."""
    same = answers.logits.argmax(axis=1) == answers.native.argmax(axis=1)
    return share(same, answers.groups)


AGREEMENT = Fidelity(
    Measure(
        name="stitch_agreement",
        label="agreement with the target",
        meaning="Share of images that the stitched network puts into the class that its target does, right or wrong.",
        kind="fidelity",
        computed_from="stitched_logits",
        range=(0.0, 1.0),
        larger_is_more_similar=True,
        cost="O(n·classes)",
        literature="Klabunde et al. 2025",
    ),
    of,
)
