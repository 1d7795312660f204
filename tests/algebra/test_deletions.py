"""Low-rank deletions: closed cases of indices from eigenvalues alone, probes pinned to the textbook's minimum."""

from __future__ import annotations

import numpy as np
import pytest

from stitchpipe.algebra import INDICES
from stitchpipe.algebra.deletions import MOST_RANKS, deletion_ranks, low_rank_deletions
from stitchpipe.algebra.layer_measure import LabelledRows
from tests import oracles_optimised

DOUBLE = float(np.finfo(np.float64).eps)
INDEX = ("cka_biased", "procrustes", "dm_r2", "cca", "rsa")


def layer(n, p, seed=0, directions=None):
    """Rows whose variance falls from direction to direction, of three classes, with a dead feature."""
    rng = np.random.default_rng(seed)
    r = directions or p - 1
    mixing = np.random.default_rng(99).standard_normal((r, p - 1))
    scores = rng.standard_normal((n, r)) * 0.8 ** np.arange(r)
    labels = np.digitize(scores[:, 1] + scores[:, 2], [-0.5, 0.5])
    return LabelledRows(np.column_stack([scores @ mixing + 3.0, np.full(n, 0.1)]), labels)


def deleted(train, scored, names=INDEX):
    indices = [INDICES[name] for name in names]
    return low_rank_deletions(train, scored, indices, images=len(scored.rows), storage_eps=DOUBLE)


@pytest.mark.parametrize(("rank", "ladder"), [(1, ()), (2, (1,)), (6, (5, 4, 3, 2, 1))])
def test_the_ranks_of_narrow_layers(rank, ladder):
    assert deletion_ranks(rank) == ladder


@pytest.mark.parametrize("rank", [16, 64, 512, 4096])
def test_a_wide_layer_has_no_more_ranks_than_a_narrow_one(rank):
    ladder = deletion_ranks(rank)
    assert len(ladder) <= MOST_RANKS
    assert ladder[-1] == 1
    assert rank > ladder[0] >= rank / 2
    assert list(ladder) == sorted(set(ladder), reverse=True)


@pytest.mark.parametrize("n", [300, 20])
def test_indices_of_what_is_left_follow_from_eigenvalues(n):
    """Of X and its first k components: CKA √(Σₖλ²/Σλ²), nuclear cosine √(Σₖλ/Σλ), R² Σₖλ/Σλ, and CCA 1 of few."""
    rows = layer(n, 24)
    found = deleted(rows, rows)
    values = np.linalg.svd(rows.rows - rows.rows.mean(axis=0), compute_uv=False) ** 2
    assert found.rank == min(n - 1, 23)
    assert [each.rank for each in found.deletions] == list(deletion_ranks(found.rank))
    for each in found.deletions:
        kept = values[: each.rank]
        share = kept.sum() / values.sum()
        cka, procrustes, r2, cca, _ = each.numbers
        assert each.variance == pytest.approx(share, rel=1e-9)
        assert cka.value == pytest.approx(np.sqrt((kept**2).sum() / (values**2).sum()), rel=1e-7)
        assert procrustes.value == pytest.approx(2 - 2 * np.sqrt(share), rel=1e-6, abs=1e-9)
        assert r2.value == pytest.approx(share, rel=1e-7)
        if n == 300:
            assert cca.value == pytest.approx(1.0, rel=1e-7)
    assert found.deletions[0].numbers[-1].value > found.deletions[-1].numbers[-1].value


def test_components_are_of_the_training_images_and_numbers_of_the_scored_ones():
    train, scored = layer(200, 12, 1), layer(150, 12, 2)
    rows = scored.rows
    mean = train.rows.mean(axis=0)
    _, _, directions = np.linalg.svd(train.rows - mean, full_matrices=False)
    for each in deleted(train, scored).deletions:
        basis = directions[: each.rank].T
        left = (rows - mean) @ basis @ basis.T
        left, whole = left - left.mean(axis=0), rows - rows.mean(axis=0)
        products = [np.sum((a.T @ b) ** 2) for a, b in ((left, whole), (left, left), (whole, whole))]
        assert each.numbers[0].value == pytest.approx(
            products[0] / np.sqrt(products[1] * products[2]), rel=1e-8
        )


def test_probes_are_those_of_the_whole_layers_units_in_any_coordinates():
    """Fitted in k coordinates; by the textbook over all features in units of their deviation in the whole."""
    train, scored = layer(120, 10, 3), layer(200, 10, 4)
    mean, deviation = train.rows[:, :-1].mean(axis=0), train.rows[:, :-1].std(axis=0)
    _, _, directions = np.linalg.svd(train.rows[:, :-1] - mean, full_matrices=False)
    found = deleted(train, scored, ["cka"])
    told = oracles_optimised.logistic_probe(train.rows, train.labels, scored.rows, 1.0)
    assert found.accuracy == pytest.approx(np.mean(told == scored.labels), abs=1.5 / 200)
    for each in found.deletions:
        basis = directions[: each.rank].T
        sides = [((side.rows[:, :-1] - mean) @ basis @ basis.T) / deviation for side in (train, scored)]
        told = oracles_optimised.logistic_probe(sides[0], train.labels, sides[1], 1.0, standardise=False)
        assert each.accuracy == pytest.approx(np.mean(told == scored.labels), abs=1.5 / 200)
    # Classes follow from the second and third direction: with one alone little is told.
    assert found.accuracy > 0.8
    assert found.deletions[-1].accuracy < 0.6


def test_a_layer_that_cannot_be_probed_has_a_reason_and_no_deletions():
    rows = layer(50, 6)
    found = deleted(LabelledRows(rows.rows, np.zeros(50, np.int64)), rows)
    assert (found.status, found.deletions, found.accuracy) == ("one_class", (), None)
    assert "at least two classes" in found.reason
