"""What every word and index on the page means."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, pi
from typing import TYPE_CHECKING

from stitchpipe.registry import find_measure, find_objective, index_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.measures import Measure
    from stitchpipe.stitching import Objective


@dataclass(frozen=True, slots=True)
class Entry:
    """A word, what it means, and facts to read beside it."""

    word: str
    code: str
    meaning: str
    facts: str = ""


_WORDS = (
    Entry("Representation", "", "The activations of one layer of one network on one split of one data set."),
    Entry("View", "positions, pooled", "How a representation becomes rows and features. positions: every spatial "
          "position is a row, channels are features. pooled: the mean over positions, one row per image."),
    Entry("Grid", "", "The spatial resolution of a comparison: the target's. A source of another size is resized "
          "bilinearly first."),
    Entry("n, p, q", "n_samples, n_rows, p, q", "Images and rows; features of the source and of the target."),
    Entry("Stitch", "", "A source layer, a map, and the rest of the target network: the source's activations are "
          "mapped and handed to the layers behind the target layer."),
    Entry("Direct matching", "dm", "The map is the least-squares fit of the target's activations."),
    Entry("Task loss matching", "tlm", "The map is trained so that the stitched network classifies well; nothing asks "
          "it to look like the target's activations."),
    Entry("Late → early", "", "A stitch whose source is at least a third of the depth later than its target."),
    Entry("95 % interval", "low, high", "Jackknife over groups of images, one group left out at a time. A fitted map "
          "is held fixed: the interval speaks of the scored images, not of the choice of the training images."),
    Entry("p-value, calibrated score", "p_value, calibrated", "Against the same images in random order: the share of "
          "permutations that reach the number, and where the number stands between the null's 95 % point (0) and the "
          "largest possible value (1). Of at most 2,000 images, and per pair."),
    Entry("Effect size", "effect_size, null_mean, p_closed", "How many standard deviations of its null a number of CKA "
          "lies above the mean of that null, which is what layers that have nothing in common score on average. It is "
          "known in closed form, of all images; p_closed is the share of all orders of them that reach the number."),
    Entry("Family of pairs", "family, p_family, p_by, calibrated_family", "Pairs that make one claim, such as all "
          "layers of two models. p_family is the share of permutations under which some pair of the family stands as "
          "far above its own null, so that a search for the best pair is paid for; calibrated_family starts where that "
          "share is 5 %. p_by bounds the expected share of false ones among all pairs that are taken for findings."),
    Entry("Rank, condition", "rank, condition", "Directions that a number rests on where something was inverted, and "
          "the ratio of the largest to the smallest of their scales."),
)  # fmt: skip


def glossary(names: Iterable[str]) -> tuple[Entry, ...]:
    """Return the words of the page, then the named measures and objectives that the registry knows.

    Indices stand in the registry's order, others in that of `names`; what nobody knows is left out.
    """
    order, given = list(index_names()), list(dict.fromkeys(names))
    measures = [measure for name in given if (measure := find_measure(name))]
    compared = [measure for measure in measures if measure.kind == "index"]
    compared.sort(key=lambda index: (order.index(index.base), index.name))
    judged = [measure for measure in measures if measure.kind != "index"]
    objectives = [objective for name in given if (objective := find_objective(name))]
    return (*_WORDS, *map(_entry, compared), *map(_entry, judged), *map(_of_objective, objectives))


def _entry(measure: Measure) -> Entry:
    low, high = (_bound(value) for value in measure.range)
    similar = {True: "larger is more similar", False: "smaller is more similar", None: ""}
    facts = [
        f"{low} to {high}",
        similar[measure.larger_is_more_similar],
        ("symmetric" if measure.symmetric else "directed") if measure.kind == "index" else "",
        "unchanged by " + ", ".join(sorted(measure.invariances)) if measure.invariances else "",
        measure.literature,
    ]
    return Entry(measure.title, measure.name, measure.meaning, " · ".join(filter(None, facts)))


def _of_objective(objective: Objective) -> Entry:
    kind = "asks for the task's answers" if objective.is_task_loss else "compares representations"
    facts = ("objective of task loss matching", kind, objective.literature)
    return Entry(objective.label, objective.name, objective.meaning, " · ".join(filter(None, facts)))


def _bound(value: float) -> str:
    if not isfinite(value):
        return "−∞" if value < 0 else "∞"
    return "π/2" if value == pi / 2 else f"{value:g}".replace("-", "−")
