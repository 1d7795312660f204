"""The energy of logits, by definition and in closed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from stitchpipe.ood import OodError
from stitchpipe.ood.scores.energy import energy, energy_score

RNG = np.random.default_rng(0)
NATIVE, STITCHED = RNG.standard_normal((60, 5)), RNG.standard_normal((60, 5)) + 0.3


def test_it_is_minus_the_log_of_the_sum_of_exponentials():
    found = energy(NATIVE)
    for row, value in zip(NATIVE, found, strict=True):
        assert value == pytest.approx(-math.log(sum(math.exp(x) for x in row)), rel=1e-12)
    assert found == pytest.approx(-torch.logsumexp(torch.from_numpy(NATIVE), 1).numpy(), rel=1e-12)
    assert energy(np.array([[3.5]])) == -3.5
    assert energy(np.array([[1e30, 0.0]])) == -1e30  # no exponential overflows


def test_the_statistic_is_that_of_energies_higher_where_foreign():
    found = energy_score(NATIVE, STITCHED)
    area = roc_auc_score([0] * 60 + [1] * 60, np.r_[energy(NATIVE), energy(STITCHED)])
    assert found.value == pytest.approx(abs(2 * area - 1), abs=1e-12)
    assert found.extras == {"auroc": pytest.approx(area, abs=1e-12)}
    assert area < 0.5  # larger logits look more native


def test_native_logits_are_not_foreign_and_order_does_not_matter():
    assert energy_score(NATIVE, NATIVE).value == pytest.approx(0.0, abs=1e-12)
    backwards = energy_score(NATIVE, STITCHED[::-1]).value
    assert backwards == pytest.approx(energy_score(NATIVE, STITCHED).value, rel=1e-12)
    assert energy_score(NATIVE, NATIVE - 100).value == energy_score(NATIVE, NATIVE + 100).value == 1.0


def test_what_has_no_value_says_why():
    assert energy_score(np.ones((4, 3)), STITCHED[:4, :3]).status == "constant"
    broken = STITCHED.copy()
    broken[3, 2] = np.nan
    assert energy_score(NATIVE, broken).status == "non_finite"


@pytest.mark.parametrize(
    ("native", "stitched", "words"),
    [
        (NATIVE, STITCHED[:, :4], "shapes"),
        (NATIVE[:0], STITCHED[:0], "shapes"),
        (np.full_like(NATIVE, np.inf), STITCHED, "finite"),
    ],
)
def test_logits_that_do_not_belong_together_are_refused(native, stitched, words):
    with pytest.raises(OodError, match=words):
        energy_score(native, stitched)
