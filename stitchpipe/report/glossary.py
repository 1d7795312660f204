"""What every word and index on the page means."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, pi
from typing import TYPE_CHECKING

from stitchpipe.registry import find_measure, index_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.measures import Measure


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
    Entry("Relative accuracy", "stitch_relative_accuracy", "Accuracy of the stitched network over the accuracy of the "
          "target network, on the same images. 1 is as good as unstitched."),
    Entry("Agreement with the target", "stitch_agreement", "Share of images that the stitched network puts into the "
          "class that its target does, right or wrong."),
    Entry("KL from the target", "stitch_kl", "KL divergence of the stitched network's probabilities from the target's "
          "own, mean over images, in nats; 0 is the same answers."),
    Entry("Late → early", "", "A stitch whose source is at least a third of the depth later than its target."),
    Entry("Mahalanobis, k-NN and ViM residual, two-sided", "ood_mahalanobis, ood_knn, ood_vim", "How well a detector "
          "fitted on the target layer's own training images tells stitched from native test images: |2·AUROC − 1|, 0 "
          "not at all, 1 perfectly, in either direction. It looks at the distance from the mean, from the k-th "
          "neighbour, or from the subspace in which native images vary most."),
    Entry("Fréchet ratio", "ood_frechet", "Fréchet distance between stitched and native pooled means and spreads, over "
          "the native variance. 0 is the same distribution."),
    Entry("Positional", "ood_…_positional", "The same of single positions instead of means over positions, averaged "
          "over the sampled positions of an image."),
    Entry("Negative mass", "ood_negative_mass", "Share of the stitched activations' absolute mass below zero, behind "
          "a ReLU, where natively there is none."),
    Entry("Energy of logits, two-sided", "ood_energy", "How well −logsumexp of the target network's logits tells "
          "stitched from native test images: |2·AUROC − 1|."),
    Entry("Trained detector", "ood_detector, …_aupr, …_fpr95, …_sanity", "A classifier of native representations whose "
          "energy was driven apart from that of other images' representations: two-sided |2·AUROC − 1| of stitched "
          "against native test images. One-sided beside it, natives as positives: AUPR (1 tells all, ½ nothing) and "
          "FPR95, the share of stitched images that pass where 95 % of native ones do (0 tells all, .95 nothing). "
          "sanity: its AUROC on other images, which passes from .9 on. One that passes although its AUROC on "
          "stitched images is well below ½ is called one-sided wrong."),
    Entry("95 % interval", "low, high", "Jackknife over groups of images, one group left out at a time. A fitted map "
          "is held fixed: the interval speaks of the scored images, not of the choice of the training images."),
    Entry("p-value, calibrated score", "p_value, calibrated", "Against the same images in random order: the share of "
          "permutations that reach the number, and where the number stands between the null's 95 % point (0) and the "
          "largest possible value (1). Of at most 2,000 images, and per pair: many pairs want their own correction."),
    Entry("Rank, condition", "rank, condition", "Directions that a number rests on where something was inverted, and "
          "the ratio of the largest to the smallest of their scales."),
)  # fmt: skip


def glossary(names: Iterable[str]) -> tuple[Entry, ...]:
    """Return the words of the page, then the named indices that the registry knows, in its order."""
    order = list(index_names())
    known = {
        measure.name: measure for measure in map(find_measure, names) if measure and measure.base in order
    }
    listed = sorted(known.values(), key=lambda index: (order.index(index.base), index.name))
    return (*_WORDS, *map(_entry, listed))


def _entry(index: Measure) -> Entry:
    low, high = (_bound(value) for value in index.range)
    facts = [
        f"{low} to {high}",
        "larger is more similar" if index.larger_is_more_similar else "smaller is more similar",
        "symmetric" if index.symmetric else "directed",
        "unchanged by " + ", ".join(sorted(index.invariances)) if index.invariances else "",
        index.literature,
    ]
    return Entry(index.title, index.name, index.meaning, " · ".join(filter(None, facts)))


def _bound(value: float) -> str:
    if not isfinite(value):
        return "−∞" if value < 0 else "∞"
    return "π/2" if value == pi / 2 else f"{value:g}".replace("-", "−")
