"""Agreement of predictions from logits."""

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import torch
from sklearn.metrics import accuracy_score

from stitchpipe.algebra.errors import MomentsError, RowsError, UndefinedIndexError
from stitchpipe.algebra.indices.agreement import PredictionSums, agreement, js_divergence
from tests import oracles_samples

rng = np.random.default_rng(0)
X = rng.standard_normal((80, 5)) * 3
Y = X + rng.standard_normal((80, 5)) * 2


def test_against_the_definitions_scikit_learn_and_scipy():
    assert agreement(X, Y) == oracles_samples.agreement(X, Y)
    assert agreement(X, Y) == pytest.approx(accuracy_score(X.argmax(axis=1), Y.argmax(axis=1)))
    assert 0.3 < agreement(X, Y) < 0.9
    assert js_divergence(X, Y) == pytest.approx(oracles_samples.js_divergence(X, Y), rel=1e-12)
    p, q = (scipy.special.softmax(rows, axis=1) for rows in (X, Y))
    assert js_divergence(X, Y) == pytest.approx(
        (scipy.spatial.distance.jensenshannon(p, q, axis=1) ** 2).mean(), rel=1e-12
    )


def test_torch_tensors_give_the_same_numbers():
    tensors = torch.tensor(X), torch.tensor(Y)
    assert agreement(*tensors) == agreement(X, Y)
    assert js_divergence(*tensors) == pytest.approx(js_divergence(X, Y), rel=1e-13)


def test_closed_cases():
    assert agreement(X, X) == 1.0
    assert js_divergence(X, X) == 0.0
    sure = np.array([[1e4, 0.0], [0.0, 1e4]])
    assert agreement(sure, sure[::-1]) == 0.0
    assert js_divergence(sure, sure[::-1]) == pytest.approx(math.log(2.0), rel=1e-14)
    huge = np.array([[1.7e308, -1.7e308]])
    assert js_divergence(huge, -huge) == pytest.approx(math.log(2.0), rel=1e-14)
    # (¾, ¼) against (½, ½): ½[¾ln(6/5) + ¼ln(2/3)] + ½[½ln(4/5) + ½ln(4/3)]
    ln = math.log
    half = 0.5 * (0.75 * ln(6 / 5) + 0.25 * ln(2 / 3)) + 0.25 * (ln(4 / 5) + ln(4 / 3))
    assert js_divergence([[ln(3.0), 0.0]], [[0.0, 0.0]]) == pytest.approx(half, rel=1e-13)


def test_of_equal_logits_the_first_class_counts():
    assert agreement([[1.0, 1.0, 0.0]], [[2.0, 0.0, 0.0]]) == 1.0
    assert agreement([[1.0, 1.0, 0.0]], [[0.0, 2.0, 0.0]]) == 0.0


def test_blocks_of_samples_add():
    parts = [PredictionSums.from_block(X[a:b], Y[a:b]) for a, b in ((0, 30), (30, 31), (31, 80))]
    total = parts[2].merge(parts[0]).merge(parts[1])
    assert (total.n, total.classes) == (80, 5)
    assert total.agreement == agreement(X, Y)
    assert total.mean_divergence == pytest.approx(js_divergence(X, Y), rel=1e-13)
    with pytest.raises(MomentsError, match="4 classes"):
        total.merge(PredictionSums.from_block(X[:, :4], Y[:, :4]))


def test_other_classes_have_no_agreement():
    with pytest.raises(UndefinedIndexError, match="5 and 4 classes") as caught:
        agreement(X, Y[:, :4])
    assert caught.value.status == "different_classes"
    with pytest.raises(UndefinedIndexError) as caught:
        js_divergence(X[:, :1], Y[:, :1])
    assert caught.value.status == "degenerate"
    with pytest.raises(RowsError, match="80 and 79 rows"):
        agreement(X, Y[:79])
