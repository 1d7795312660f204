"""How often intervals hold the truth, and how often permutation tests find what is not there.

    python -m tests.algebra.coverage [replications]

prints the tables that stand in ``stitchpipe/algebra/DESIGN.md``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cache, reduce

import numpy as np

from stitchpipe import algebra
from stitchpipe.algebra import Moments, PairMoments, augment, evaluate, pair_from_augmented
from stitchpipe.algebra.batches import evaluate as evaluate_batch
from stitchpipe.algebra.certainty import jackknife, leave_one_out
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.indices.cka_rbf import rbf_kernel
from stitchpipe.algebra.indices.rsa import ranked_dissimilarities
from stitchpipe.algebra.samples import NeighbourSets, SampleGram, alignment, mutual_neighbours
from tests.algebra.batches import stacked
from tests.algebra.null_of_a_pair import TESTABLE, permutation_test

INDICES = tuple(name for name, index in algebra.INDICES.items() if index.measure.computed_from == "moments")
"""Every index of moments that there is, so that none can be left out."""
SAMPLE_INDICES = ("cka", "cka_rbf", "rsa", "mutual_knn")
GROUPS = 20
ROWS_PER_IMAGE = 6
TRUTH_BLOCKS = 40  # of 50,000 independent rows
TRUTH_IMAGES = 2000  # in each of six n×n Grams
TOGETHER = 50  # replications that are held at once
WITHIN_IMAGE = 0.7  # correlation of the latent variables at two positions of one image


@dataclass(frozen=True)
class Population:
    """Two ReLU layers of widths p and q that see the same latent variables through noise."""

    p: int
    q: int
    latent: int
    noise: float
    seed: int

    def rows(self, rng, images, per_image=1):
        """Rows of a sample, those of one image one after the other."""
        weights = np.random.default_rng(self.seed)
        A, B = (
            weights.standard_normal((self.latent, width)) / np.sqrt(self.latent) for width in (self.p, self.q)
        )
        a, b = 0.5 * weights.standard_normal(self.p), 0.5 * weights.standard_normal(self.q)
        Z, E, F = (draw(rng, images, per_image, width) for width in (self.latent, self.p, self.q))
        X = np.maximum(Z @ A + a + self.noise * E, 0) * np.geomspace(1, 0.3, self.p)
        return X, np.maximum(Z @ B + b + self.noise * F, 0)


def draw(rng, images, per_image, width):
    """Standard normal rows; those of one image share a part where it has several."""
    own = rng.standard_normal((images * per_image, width))
    if per_image == 1:
        return own
    shared = np.repeat(rng.standard_normal((images, width)), per_image, axis=0)
    return np.sqrt(WITHIN_IMAGE) * shared + np.sqrt(1 - WITHIN_IMAGE) * own


POPULATIONS = {
    "related, 8 and 6 wide": Population(8, 6, 4, 0.5, 0),
    "related, 40 and 30 wide": Population(40, 30, 10, 0.7, 3),
    "hardly related, 8 and 6 wide": Population(8, 6, 4, 3.0, 7),
}


@dataclass(frozen=True)
class Reference:
    """What a population's samples are measured by.

    Attributes
    ----------
    shifts
        Of either side, for `augment`.
    fitted_on
        Moments of a sample of its own, on which maps are fitted.
    truth
        The indices of 2,000,000 independent rows. Rows of clustered samples are distributed as these.
    """

    shifts: tuple[np.ndarray, np.ndarray]
    fitted_on: PairMoments
    truth: np.ndarray

    @classmethod
    @cache
    def of(cls, population, indices=INDICES) -> Reference:
        rng = np.random.default_rng(1)
        X, Y = population.rows(rng, 2_000)
        shifts, fitted_on = (X.mean(axis=0), Y.mean(axis=0)), PairMoments.from_rows(X, Y)
        blocks = (summary(shifts, *population.rows(rng, 50_000)) for _ in range(TRUTH_BLOCKS))
        whole = pair_of(shifts, reduce(Moments.merge, blocks))
        truth = [evaluate(index, whole, train=fitted_on).value for index in indices]
        return cls(shifts, fitted_on, np.array(truth))


def summary(shifts, X, Y):
    return Moments.from_block(np.hstack([augment(X, shifts[0]), augment(Y, shifts[1])]))


def pair_of(shifts, moments) -> PairMoments:
    x, y = slice(0, len(shifts[0]) + 1), slice(len(shifts[0]) + 1, None)
    return pair_from_augmented(
        moments.pick(x), moments.pick(y), moments.between(x, y), shift_x=shifts[0], shift_y=shifts[1]
    )


def group_sizes(images):
    """Unequal groups, from half to one and a half of the mean."""
    edges = np.cumsum(np.linspace(0.5, 1.5, GROUPS)) / GROUPS * images
    return np.diff(np.concatenate([[0], np.round(edges).astype(int)]))


@dataclass(frozen=True)
class Coverage:
    """In per cent, for each index: of the population's value, and of the mean of values at this n."""

    truth: np.ndarray
    mean: np.ndarray
    of_truth: np.ndarray
    of_mean: np.ndarray


def coverage(population, images, per_image, replications, *, seed=0, indices=INDICES):
    """Sample, summarise by groups of images, leave each out, and see what the intervals hold."""
    reference, rng = Reference.of(population, indices), np.random.default_rng(seed)
    sizes, wanted = group_sizes(images), [algebra.index_named(name) for name in indices]
    found = []
    for first in range(0, replications, TOGETHER):
        samples = [
            with_and_without(population, reference.shifts, rng, sizes, per_image)
            for _ in range(min(TOGETHER, replications - first))
        ]
        train = stacked([reference.fitted_on] * len(samples))
        # The k-th of all samples has the same number of rows, so they are one batch.
        batches = (replace(stacked(list(pairs)), train=train) for pairs in zip(*samples, strict=True))
        found.append(np.array([evaluate_batch(batch, wanted).values.T for batch in batches]))
    values = np.concatenate(found, axis=1)
    return held(reference.truth, values[0], jackknife(values[0], values[1:], sizes))


def with_and_without(population, shifts, rng, sizes, per_image) -> list[PairMoments]:
    """A sample's moments: of all images, then without each group of them."""
    X, Y = population.rows(rng, int(sizes.sum()), per_image)
    edges = np.cumsum(sizes)[:-1] * per_image
    parts = [summary(shifts, x, y) for x, y in zip(np.split(X, edges), np.split(Y, edges), strict=True)]
    without = leave_one_out(parts)
    return [pair_of(shifts, moments) for moments in (without[0].merge(parts[0]), *without)]


def sample_values(x, y):
    """`SAMPLE_INDICES` of two Grams."""
    matrices = (
        [kernel(gram) for kernel in (linear_kernel, rbf_kernel, ranked_dissimilarities)] for gram in (x, y)
    )
    neighbours = ([NeighbourSets.of(gram)] for gram in (x, y))
    products = [alignment(*pair) for pair in zip(*matrices, strict=True)]
    return np.array([*products, float(mutual_neighbours(*neighbours)[0, 0])])


def sample_coverage(population, images, replications, *, seed=0):
    """As `coverage`, for the indices that are worked from n×n Grams, groups left out by selecting samples."""
    rng, sizes = np.random.default_rng(seed), group_sizes(images)

    def grams(n):
        """A little noise, lest a row be zero after ReLU and have no cosine."""
        return [
            SampleGram.from_block(rows + 0.2 * rng.standard_normal(rows.shape))
            for rows in population.rows(rng, n)
        ]

    truth = np.mean([sample_values(*grams(TRUTH_IMAGES)) for _ in range(6)], axis=0)
    groups = np.split(np.arange(images), np.cumsum(sizes)[:-1])
    kept = [np.arange(images), *(np.setdiff1d(np.arange(images), group) for group in groups)]
    values = np.empty((len(kept), replications, len(SAMPLE_INDICES)))
    for replication in range(replications):
        x, y = grams(images)
        values[:, replication] = [sample_values(x.select(samples), y.select(samples)) for samples in kept]
    return held(truth, values[0], jackknife(values[0], values[1:], sizes))


def held(truth, found, interval):
    """Count the limits that hold what they are for; those about the value lie higher by the bias."""
    low, high, bias, mean = interval.low, interval.high, interval.bias, found.mean(axis=0)
    return Coverage(
        truth,
        mean,
        100 * ((low <= truth) & (truth <= high)).mean(axis=0),
        100 * ((low + bias <= mean) & (mean <= high + bias)).mean(axis=0),
    )


def rejections(replications, *, images=50, per_image=1, permutations=199, seed=0):
    """Share of independent pairs with p ≤ .05, in per cent, for each index that has a null."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(TESTABLE, 0)
    for replication in range(replications):
        X = np.maximum(draw(rng, images, per_image, 8) + 0.3, 0)
        Y = draw(rng, images, per_image, 6) ** 3
        X[:, 0] += 0.01  # no row is zero
        for index in counts:
            test = permutation_test(X, Y, index=index, permutations=permutations, seed=replication)
            counts[index] += test.p_value <= 0.05
    return {index: 100 * count / replications for index, count in counts.items()}


CELLS = tuple(
    (population, images, per_image)
    for population in POPULATIONS
    for images, per_image in ((200, 1), (200, ROWS_PER_IMAGE), (2000, 1), (2000, ROWS_PER_IMAGE))
)
"""Populations, numbers of images and of rows of each, in the order of the table."""


def show(columns):
    """Print one row an index: what its limits are about, and both figures of every cell."""
    about = {"population": "estimate", "sample": "value"}
    print(f"| index | about | {' | '.join(f'{images}, {images * rows}' for _, images, rows in CELLS)} |")
    print("|---|---|" + "--:|" * len(CELLS))
    for place, name in enumerate(INDICES):
        figures = (f"{found.of_truth[place]:.1f} / {found.of_mean[place]:.1f}" for found in columns)
        print(f"| `{name}` | {about[algebra.INDICES[name].measure.interval]} | {' | '.join(figures)} |")


def cells(found):
    return "".join(
        f"{truth:7.1f}/{mean:5.1f}" for truth, mean in zip(found.of_truth, found.of_mean, strict=True)
    )


def main(replications):
    print("coverage of nominal 95 % intervals: of the population's value / of the mean of values at this n")
    show([coverage(POPULATIONS[name], images, rows, replications) for name, images, rows in CELLS])
    print("the same from Grams, groups left out by selecting samples, independent rows")
    print(
        f"{'population':30s}{'images':>7s}{'rows':>6s}" + "".join(f"{index:>13s}" for index in SAMPLE_INDICES)
    )
    for name, population in POPULATIONS.items():
        found = sample_coverage(population, 200, max(1, replications // 4))
        print(f"{name:30s}{200:7d}{200:6d}{cells(found)}", flush=True)
    print("rejections at a nominal 5 %, independent layers")
    for label, per_image, images in (
        ("50 images", 1, 50),
        ("10 images of 6 rows, misused", ROWS_PER_IMAGE, 10),
    ):
        rates = rejections(replications, images=images, per_image=per_image)
        print(f"{label:30s}" + " ".join(f"{index} {rate:.1f}" for index, rate in rates.items()), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
