"""What a stitch is judged by, as the page has it: derived from the measures that are declared beside their formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.ood import OF_THE_DETECTOR, SCORES
from stitchpipe.registry import find_measure, find_objective
from stitchpipe.stitching import FIDELITY

if TYPE_CHECKING:
    from collections.abc import Iterable

RELATIVE = "stitch_relative_accuracy"
ACCURACY = "stitch_accuracy"

_DETECTOR, *_BESIDE_DETECTOR = OF_THE_DETECTOR.values()
DETECTOR = _DETECTOR.name
"""The trained detector's score of a stitch."""

DISTANCES = {
    measure.name: measure.label for measure in (*(score.measure for score in SCORES.own.values()), _DETECTOR)
}
"""Titles of the distances from the target's distribution: of each, larger is further away and 0 is not at all."""

TITLES = {
    **{name: fidelity.measure.label for name, fidelity in FIDELITY.items()},
    **DISTANCES,
    **{measure.name: measure.label for measure in _BESIDE_DETECTOR},
}
"""Titles of all measures of our own, in the order of the page."""

BESIDE = {"auroc": "AUROC", "floor": "floor", "warned": "warned"}
"""What may stand beside a stitch's number, by column, with its title."""


def titles(names: Iterable[str]) -> dict[str, str]:
    """Return the titles of some measures: ours first, in the order of the page, then others by their own."""
    named = dict.fromkeys(names)
    added = [name for name in named if name not in TITLES]
    return {name: title for name, title in TITLES.items() if name in named} | {
        name: measure.title if (measure := find_measure(name)) else name for name in added
    }


def compares_representations(objective: object) -> bool:
    """Return whether claims about task loss leave out stitches that were trained for an objective.

    They leave out those that nobody knows any more, too; stitches without one were not trained.
    """
    known = find_objective(objective) if isinstance(objective, str) else None
    return isinstance(objective, str) and not (known is not None and known.is_task_loss)


def distances(names: Iterable[str]) -> dict[str, str]:
    """Return those of some measures that are distances from the target's distribution, with their titles."""
    return {
        name: title for name, title in titles(names).items() if name in DISTANCES or _is_added_score(name)
    }


def _is_added_score(name: str) -> bool:
    measure = None if name in TITLES else find_measure(name)
    return measure is not None and measure.kind == "ood"
