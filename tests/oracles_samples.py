"""Slow textbook definitions of the indices over samples and of certainty, importing nothing of this project.

Loops over samples, pairs and groups, as the definitions are written; kernels are compared with the HSIC of
`tests.oracles`.
"""

from __future__ import annotations

import numpy as np

# Kernels


def linear(X):
    return np.array([[x @ z for z in X] for x in X])


def distances(X):
    return np.array([[np.sqrt(((x - z) ** 2).sum()) for z in X] for x in X])


def rbf(X, bandwidth=1.0):
    """exp(−d²/(2σ²)), σ the median of the distances of distinct samples (Kornblith et al. 2019)."""
    D = distances(X)
    sigma = bandwidth * np.median([D[i, j] for i in range(len(X)) for j in range(i)])
    return np.exp(-(D**2) / (2 * sigma**2))


def kernel_cka(K, L, hsic):
    return hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))


def minibatch_cka(X, Y, batches, hsic):
    """Nguyen et al. 2021, equation 2, with batches (arrays of sample numbers) weighed by their size."""
    sums = np.zeros(3)
    for batch in batches:
        K, L = linear(X[batch]), linear(Y[batch])
        sums += len(batch) * np.array([hsic(K, L), hsic(K, K), hsic(L, L)])
    return sums[0] / np.sqrt(sums[1] * sums[2])


# Neighbours


def cosine(x, z):
    return (x @ z) / (np.linalg.norm(x) * np.linalg.norm(z))


def membership(X, k, digits=10):
    """M[i, j] = probability that j is among the k nearest of i when ties are broken at random."""
    n = len(X)
    M = np.zeros((n, n))
    for i in range(n):
        others = [j for j in range(n) if j != i]
        similarity = {j: round(cosine(X[i], X[j]), digits) for j in others}
        for j in others:
            before = sum(similarity[m] > similarity[j] for m in others)
            tied = sum(similarity[m] == similarity[j] for m in others)
            M[i, j] = min(1.0, max(0.0, (k - before) / tied))
    return M


def mutual_knn(X, Y, k):
    """Huh et al. 2024: the mean size of the intersection of neighbour sets, over k."""
    return (membership(X, k) * membership(Y, k)).sum() / (len(X) * k)


# Dissimilarities


def pearson(x, z):
    x, z = x - x.mean(), z - z.mean()
    return (x @ z) / np.sqrt((x @ x) * (z @ z))


def dissimilarities(X):
    """1 − Pearson's r of the rows, for each pair of samples."""
    return np.array([1 - pearson(X[i], X[j]) for i in range(len(X)) for j in range(i)])


def mid_ranks(values):
    return np.array([(values < v).sum() + ((values == v).sum() + 1) / 2 for v in values])


def rsa(X, Y, digits=10):
    """Kriegeskorte et al. 2008: Spearman's correlation of the two RDMs."""
    return pearson(*(mid_ranks(dissimilarities(rows).round(digits)) for rows in (X, Y)))


# Certainty


def p_value(observed, null):
    """Phipson and Smyth 2010."""
    return (1 + sum(value >= observed for value in null)) / (len(null) + 1)


def calibrated_score(observed, null, level):
    """Gröger et al. 2026: distance above the (1 − level) order statistic, as a share of what is possible."""
    rank = int(np.ceil((1 - level) * (len(null) + 1) - 1e-9))
    threshold = sorted(null)[rank - 1]
    return min(1.0, max(0.0, (observed - threshold) / (1 - threshold)))


def studentised(values):
    """Each of K + 1 values less the mean, over the deviation, of the other K: treated alike, whichever was observed."""
    others = [np.delete(values, k) for k in range(len(values))]
    return np.array([(v - rest.mean()) / rest.std() for v, rest in zip(values, others, strict=True)])


def family_wise(observed, null):
    """Westfall and Young 1993, algorithm 2.5, of studentised values: p of each pair; `null` by pair and order."""
    t = [studentised(np.array([s, *draws])) for s, draws in zip(observed, null, strict=True)]
    largest = [max(of_pair[k] for of_pair in t) for k in range(1, len(t[0]))]
    return [p_value(of_pair[0], largest) for of_pair in t]


def family_threshold(observed, null, pair, level):
    """What one pair must exceed: where its own null's deviation puts the order statistic of the family's largest."""
    t = [studentised(np.array([s, *draws])) for s, draws in zip(observed, null, strict=True)]
    largest = sorted(max(of_pair[k] for of_pair in t) for k in range(1, len(t[0])))
    rank = int(np.ceil((1 - level) * (len(largest) + 1) - 1e-9))
    return np.mean(null[pair]) + largest[rank - 1] * np.std(null[pair])


def benjamini_yekutieli(p_values):
    """Benjamini and Yekutieli 2001, by its definition, one hypothesis at a time."""
    m = len(p_values)
    harmonic = sum(1 / k for k in range(1, m + 1))
    rank = {place: i for i, place in enumerate(sorted(range(m), key=lambda j: p_values[j]), 1)}
    return [
        min(1.0, *(p_values[j] * m * harmonic / rank[j] for j in range(m) if rank[j] >= rank[i]))
        for i in range(m)
    ]


def jackknife_variance(value, leave_one_out, sizes):
    """Busing, Meijer and van der Leeden 1999: the delete-m_j jackknife, by its pseudo-values."""
    n, groups = sum(sizes), len(sizes)
    h = [n / m for m in sizes]
    pseudo = [h[j] * value - (h[j] - 1) * leave_one_out[j] for j in range(groups)]
    centre = sum(p / hj for p, hj in zip(pseudo, h, strict=True))
    return sum((p - centre) ** 2 / (hj - 1) for p, hj in zip(pseudo, h, strict=True)) / groups


# Predictions


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def agreement(X, Y):
    return np.mean([np.argmax(x) == np.argmax(y) for x, y in zip(X, Y, strict=True)])


def js_divergence(X, Y):
    """Lin 1991, natural logarithms."""
    total = 0.0
    for x, y in zip(X, Y, strict=True):
        p, q = softmax(x), softmax(y)
        m = (p + q) / 2
        total += (p * np.log(p / m)).sum() / 2 + (q * np.log(q / m)).sum() / 2
    return total / len(X)
