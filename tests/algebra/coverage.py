"""How often intervals hold the truth, and how often permutation tests find what is not there.

    python -m tests.algebra.coverage [replications]

prints the tables that stand in ``stitchpipe/algebra/DESIGN.md`` (1,000 replications: about twenty minutes on one core).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache, reduce

import numpy as np

from stitchpipe import algebra
from stitchpipe.algebra import Moments, augment, evaluate, pair_from_augmented
from stitchpipe.algebra.certainty import jackknife, leave_one_out
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.indices.cka_rbf import rbf_kernel
from stitchpipe.algebra.indices.rsa import ranked_dissimilarities
from stitchpipe.algebra.samples import NeighbourSets, SampleGram, alignment, mutual_neighbours
from tests.algebra.null_of_a_pair import TESTABLE, permutation_test

INDICES = ("cka", "cka_biased", "cca", "cca_sq", "procrustes", "dm_r2")
OTHER_INDICES = ("svcca", "pwcca", "ridge_cca", "nbs", "procrustes_angle", "gulp")
SAMPLE_INDICES = ("cka", "cka_rbf", "rsa", "mutual_knn")
GROUPS = 20
ROWS_PER_IMAGE = 6
TRUTH_BLOCKS = 40  # of 50,000 independent rows
TRUTH_IMAGES = 2000  # in each of six n×n Grams
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


@cache
def reference(population, indices=INDICES):
    """Shifts and a map from a sample of their own, and the indices of 2,000,000 independent rows.

    Rows of clustered samples are distributed as these, so the truth is the same for both.
    """
    rng = np.random.default_rng(1)
    X, Y = population.rows(rng, 2_000)
    shifts, fitted = (X.mean(axis=0), Y.mean(axis=0)), algebra.direct_matching(X, Y)
    blocks = (summary(shifts, *population.rows(rng, 50_000)) for _ in range(TRUTH_BLOCKS))
    return shifts, fitted, values(shifts, fitted, reduce(Moments.merge, blocks), indices)


def summary(shifts, X, Y):
    return Moments.from_block(np.hstack([augment(X, shifts[0]), augment(Y, shifts[1])]))


def values(shifts, fitted, moments, indices=INDICES):
    x, y = slice(0, len(shifts[0]) + 1), slice(len(shifts[0]) + 1, None)
    pair = pair_from_augmented(
        moments.pick(x), moments.pick(y), moments.between(x, y), shift_x=shifts[0], shift_y=shifts[1]
    )
    return np.array(
        [
            fitted.r2_from_moments(pair) if index == "dm_r2" else evaluate(index, pair).value
            for index in indices
        ]
    )


def group_sizes(images):
    """Unequal groups, from half to one and a half of the mean."""
    edges = np.cumsum(np.linspace(0.5, 1.5, GROUPS)) / GROUPS * images
    return np.diff(np.concatenate([[0], np.round(edges).astype(int)]))


@dataclass(frozen=True)
class Coverage:
    """In per cent, for each of `INDICES`: of the population's value, and of the mean of values at this n."""

    truth: np.ndarray
    mean: np.ndarray
    of_truth: np.ndarray
    of_mean: np.ndarray


def coverage(population, images, per_image, replications, *, seed=0, indices=INDICES):
    """Sample, summarise by groups of images, leave each out, and see what the intervals hold."""
    shifts, fitted, truth = reference(population, indices)
    rng, sizes = np.random.default_rng(seed), group_sizes(images)
    edges = np.cumsum(sizes)[:-1] * per_image
    found, intervals = [], []
    for _ in range(replications):
        X, Y = population.rows(rng, images, per_image)
        parts = [summary(shifts, x, y) for x, y in zip(np.split(X, edges), np.split(Y, edges), strict=True)]
        without = leave_one_out(parts)
        found.append(values(shifts, fitted, without[0].merge(parts[0]), indices))
        intervals.append(
            jackknife(found[-1], [values(shifts, fitted, part, indices) for part in without], sizes)
        )
    return held(truth, np.array(found), intervals)


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
    found, intervals = [], []
    for _ in range(replications):
        x, y = grams(images)
        kept = [np.setdiff1d(np.arange(images), group) for group in groups]
        found.append(sample_values(x, y))
        without = [sample_values(x.select(samples), y.select(samples)) for samples in kept]
        intervals.append(jackknife(found[-1], without, sizes))
    return held(truth, np.array(found), intervals)


def held(truth, found, intervals):
    """Count the limits that hold what they are for; those about the value lie higher by the bias."""
    low, high = np.array([one.low for one in intervals]), np.array([one.high for one in intervals])
    bias, mean = np.array([one.bias for one in intervals]), found.mean(axis=0)
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


def cells(found):
    return "".join(
        f"{truth:7.1f}/{mean:5.1f}" for truth, mean in zip(found.of_truth, found.of_mean, strict=True)
    )


def main(replications):
    print("coverage of nominal 95 % intervals: of the population's value / of the mean of values at this n")
    print(f"{'population':30s}{'images':>7s}{'rows':>6s}" + "".join(f"{index:>13s}" for index in INDICES))
    for name, population in POPULATIONS.items():
        for images in (200, 500, 2000):
            for per_image in (1, ROWS_PER_IMAGE):
                found = coverage(population, images, per_image, replications)
                print(f"{name:30s}{images:7d}{images * per_image:6d}{cells(found)}", flush=True)
    print("the same of the other in-sample indices of moments, independent rows")
    print(
        f"{'population':30s}{'images':>7s}{'rows':>6s}" + "".join(f"{index:>17s}" for index in OTHER_INDICES)
    )
    for name, population in POPULATIONS.items():
        found = coverage(population, 200, 1, max(1, replications // 5), indices=OTHER_INDICES)
        print(f"{name:30s}{200:7d}{200:6d}{cells(found)}", flush=True)
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
