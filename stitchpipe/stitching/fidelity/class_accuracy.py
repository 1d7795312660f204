"""How often a stitched network is right about the images of each class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.measures import Measure
from stitchpipe.stitching.fidelity.answers import share

if TYPE_CHECKING:
    from stitchpipe.measures import Number
    from stitchpipe.stitching.fidelity.answers import Answers

CLASS_ACCURACY = Measure(
    name="stitch_class_accuracy",
    label="accuracy on a class",
    meaning="Share of the images of one class that the stitched network puts into it. The number of the class stands "
    "behind the name, in parentheses, and its name beside the number.",
    kind="fidelity",
    computed_from="stitched_logits",
    range=(0.0, 1.0),
    larger_is_more_similar=True,
    cost="O(n·classes)",
)


def by_class(answers: Answers) -> dict[str, Number]:
    """Return the accuracy on each class that has an image, by the name that results use."""
    hits, names = answers.logits.argmax(axis=1) == answers.labels, answers.class_names
    numbers = {}
    for number in map(int, np.unique(answers.labels)):
        is_of_class = answers.labels == number
        groups = None
        if answers.groups is not None:
            groups = np.unique(answers.groups[is_of_class], return_inverse=True)[1].reshape(-1)
        name = names[number] if number < len(names) else None
        of_class = share(hits[is_of_class], groups)
        # What is behind a name in the reason would be taken for a part of it.
        numbers[f"{CLASS_ACCURACY.name}({number})"] = replace(of_class, reason=name or of_class.reason)
    return numbers
