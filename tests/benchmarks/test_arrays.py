"""Arrays in memory: comparisons against the plain functions, and those against plain NumPy.

    make bench BENCH="-k arrays"

The second table is meant for two threads: `OMP_NUM_THREADS=2 make bench BENCH="-k arrays_against_numpy"`.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement, product

import numpy as np
import pytest

from stitchpipe import algebra
from stitchpipe.in_memory import compare_arrays
from tests.benchmarks import textbook
from tests.benchmarks.tables import best_seconds

pytestmark = pytest.mark.benchmark

N = 300
SYMMETRIC = {
    "cka": algebra.cka,
    "procrustes": algebra.procrustes,
    "cca": algebra.cca,
    "svcca": algebra.svcca,
    "gulp": algebra.gulp,
    "ridge_cca": algebra.ridge_cca,
}
ASKED = {
    "cka": ["cka"],
    "procrustes": ["procrustes"],
    "dm_r2": ["dm_r2"],
    "cka, procrustes, dm_r2": ["cka", "procrustes", "dm_r2"],
    "cka, procrustes, gulp, ridge_cca, svcca, pwcca, dm_r2": [
        "cka",
        "procrustes",
        "gulp",
        "ridge_cca",
        "svcca",
        "pwcca",
        "dm_r2",
    ],
}


def related(n, width, names, seed=0):
    """Arrays in float32 that share a part, with a spectrum as layers have."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n, width // 2))
    return {
        name: (
            latent @ rng.standard_normal((width // 2, width)) / np.sqrt(width)
            + rng.standard_normal((n, width))
            + 1.0
        ).astype(np.float32)
        for name in names
    }


def number_or_nan(function, *arrays):
    try:
        return function(*arrays)
    except algebra.UndefinedIndexError:
        return float("nan")


def plainly(arrays, indices, fit):
    """The same table by plain functions: symmetric indices once for both directions."""
    found = {}
    for index in indices:
        if index in SYMMETRIC:
            for a, b in combinations_with_replacement(arrays, 2):
                value = number_or_nan(SYMMETRIC[index], arrays[a], arrays[b])
                found[index, a, b] = found[index, b, a] = value
        else:
            for a, b in product(arrays, repeat=2):
                if index == "pwcca":
                    found[index, a, b] = number_or_nan(algebra.pwcca, arrays[a], arrays[b])
                else:
                    fitted = algebra.direct_matching(fit[a], fit[b])
                    found[index, a, b] = fitted.r2(arrays[a], arrays[b])
    return found


CASES = [
    *((N, width, held_out) for width in (64, 512, 2048, 8192) for held_out in (False, True)),
    (10_000, 512, False),
]


@pytest.mark.parametrize(("n", "width", "held_out"), CASES)
def test_arrays_against_plain_functions(table, repeats, n, width, held_out):
    """Comparing two arrays, all ordered pairs, against the plain functions for the same numbers"""
    arrays = related(n, width, "ab")
    fit = related(n, width, "ab", seed=1) if held_out else None
    for label, indices in ASKED.items():
        if not held_out or "dm_r2" in indices:
            found = {}
            # Plain maps of two wide arrays are matrices of the width squared: half a minute for each round.
            rounds = 1 if width > 2048 and "dm_r2" in indices else repeats
            seconds = best_seconds(
                {
                    "ours": partial(_keep, found, "ours", compare_arrays, arrays, indices=indices, fit=fit),
                    "plain": partial(_keep, found, "plain", plainly, arrays, indices, fit or arrays),
                },
                repeats=rounds,
            )
            frame = found["ours"].set_index(["index", "source", "target"])["value"].astype(float)
            off = [abs(frame[key] - value) for key, value in found["plain"].items()]
            table.add(
                n=n,
                width=width,
                maps="held out" if held_out else "in sample",
                indices=label,
                time_to_plain_functions=f"{seconds['ours'] / seconds['plain']:.2f}",
                milliseconds=f"{1e3 * seconds['ours']:.1f}",
                largest_difference=f"{np.nanmax(off):.0e}",
            )


def _keep(found, name, function, *args, **options):
    found[name] = function(*args, **options)


def r2(X, Y, products="float64"):
    return algebra.direct_matching(X, Y, products=products).r2(X, Y, products=products)


INDICES = {
    "cka": (algebra.cka, textbook.cka),
    "cka, biased": (
        lambda X, Y, products="float64": algebra.cka(X, Y, debiased=False, products=products),
        textbook.cka_biased,
    ),
    "procrustes": (algebra.procrustes, textbook.procrustes),
    "least squares, R² (lstsq)": (r2, textbook.r2_by_lstsq),
    "least squares, R² (solve)": (r2, textbook.r2_by_solve),
    "cca": (algebra.cca, textbook.cca),
    "svcca": (algebra.svcca, textbook.svcca),
    "pwcca": (algebra.pwcca, textbook.pwcca),
}


@pytest.mark.parametrize("index", INDICES)
def test_arrays_against_numpy(table, repeats, index):
    """Plain functions on 10,000 × 512 against the index in plain NumPy, of float32 and of float64 arrays"""
    single = related(10_000, 512, "ab")
    X, Y = single["a"], single["b"]
    X64, Y64 = X.astype(np.float64), Y.astype(np.float64)
    ours, plain = INDICES[index]
    seconds = best_seconds(
        {
            "ours32": lambda: ours(X, Y, products="float32"),
            "plain32": lambda: plain(X, Y),
            "ours64": lambda: ours(X64, Y64),
            "plain64": lambda: plain(X64, Y64),
        },
        repeats=max(repeats, 5),
    )
    exact = ours(X64, Y64)
    table.add(
        index=index,
        float32_to_numpy=f"{seconds['ours32'] / seconds['plain32']:.2f}",
        float64_to_numpy=f"{seconds['ours64'] / seconds['plain64']:.2f}",
        milliseconds=" / ".join(f"{1e3 * seconds[key]:.0f}" for key in seconds),
        error_float32=f"{abs(ours(X, Y, products='float32') - exact):.0e}",
        error_of_numpy_float32=f"{abs(plain(X, Y) - exact):.0e}",
        from_numpy_float64=f"{abs(plain(X64, Y64) - exact):.0e}",
    )
