"""What is simulated is what the formulas say, a certification goes on where it was cut short, and shares are judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stitchpipe import algebra, registry
from stitchpipe.algebra.batches import PairBatch
from stitchpipe.algebra.batches.fits import fit_maps
from stitchpipe.algebra.certainty import NullSums, closed_null, draw_permutations
from stitchpipe.algebra.indices.cka import linear_kernel
from stitchpipe.algebra.indices.cka_rbf import cka_rbf
from stitchpipe.algebra.indices.mutual_knn import mutual_knn
from stitchpipe.algebra.indices.rsa import rsa
from stitchpipe.algebra.samples import SampleGram
from stitchpipe.certification import (
    Block,
    Cell,
    CertificationError,
    Scope,
    certification_page,
    certify,
    intervals,
    progress,
    taken,
)
from stitchpipe.certification.cells import BLOCK
from stitchpipe.certification.cost import planned_s
from stitchpipe.certification.intervals import GROUPS, WEIGHTS, IntervalTrial, Limits
from stitchpipe.certification.null_zoos import PERMUTATIONS, NullTrial, zoo_p_values
from stitchpipe.certification.regimes import REGIMES, Model
from stitchpipe.certification.table import summed, verdicts
from stitchpipe.certification.verdicts import Share, coverage_word, size_word
from stitchpipe.run.place import RunPlace
from tests import oracles

INTERVALS = Cell("intervals", "clusters", "positions", 100, 8, 2)
NULLS = Cell("nulls", "heavy tails", "pooled", 100, 8, 5)


@pytest.fixture
def quick(monkeypatch):
    """Take the truth from few images, and look at two cells alone."""
    monkeypatch.setattr(intervals, "TRUTH_IMAGES", 4000)
    monkeypatch.setattr(intervals, "MEAN_REPEATS", 50)
    monkeypatch.setattr(Scope, "cells", lambda _: [INTERVALS, NULLS])


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("view", "rows"), [("pooled", 6), ("flatten", 6), ("positions", 24)])
def test_a_model_sees_images_under_every_view(regime, view, rows):
    model = Model(regime, view, (8, 12), 1)
    layers = model.rows(np.random.default_rng(0), model.latent(np.random.default_rng(0), 6))
    assert [layer.shape for layer in layers] == [(rows, 8), (rows, 12)]
    variables = REGIMES[regime](np.random.default_rng(2), (40_000, 3))
    assert variables.var() == pytest.approx(1.0, abs=0.2)


def _drawn(rng):
    model = Model("clusters", "positions", (8, 8), WEIGHTS)
    return model.rows(rng, model.latent(rng, 100))


def _counted(repeats):
    names = tuple(index.name for index in intervals.indices_with_intervals())
    everything = Limits(names, np.full(len(names), 0.5), np.full(len(names), 0.5))
    return IntervalTrial(INTERVALS, 3).block(0, repeats, everything)


def test_a_repeat_is_what_the_plain_functions_say_of_its_rows():
    """A sample of positions: its values, and what the jackknife makes of leaving out twenty groups of images."""
    rng, found = np.random.default_rng(INTERVALS.seed(3, 0)), _counted(1)
    X, Y = _drawn(rng)

    def biased(X, Y):
        return oracles.cka(X - X.mean(axis=0), Y - Y.mean(axis=0), oracles.hsic_biased)

    group = len(X) // GROUPS
    whole = biased(X, Y)
    without = [
        biased(*(np.delete(rows, np.s_[group * k : group * (k + 1)], axis=0) for rows in (X, Y)))
        for k in range(GROUPS)
    ]
    assert found["cka_biased"]["value"] == pytest.approx(whole, rel=1e-10)
    assert found["cka_biased"]["corrected"] == pytest.approx(
        GROUPS * whole - (GROUPS - 1) * np.mean(without), rel=1e-9
    )
    assert found["cca"]["value"] == pytest.approx(algebra.cca(X, Y), rel=1e-9)
    assert found["cca"]["repeats"] == 1


def test_repeats_of_one_batch_are_what_each_is_alone(monkeypatch):
    """Several repeats share batches of pairs, and maps that were fitted once: no number changes in a bit."""
    trial = IntervalTrial(INTERVALS, 3)
    values, without = trial.numbers(0, 5)
    monkeypatch.setattr(intervals, "AT_ONCE", 1)
    monkeypatch.setattr(PairBatch, "maps", fit_maps)
    alone, alone_without = trial.numbers(0, 5)
    assert np.array_equal(values, alone)
    assert np.array_equal(without, alone_without)
    rng = np.random.default_rng(INTERVALS.seed(3, 0))
    names = [index.name for index in intervals.indices_with_intervals()]
    for of_repeat in values:
        X, Y = _drawn(rng)
        assert of_repeat[names.index("procrustes")] == pytest.approx(algebra.procrustes(X, Y), rel=1e-9)
        assert of_repeat[names.index("svcca")] == pytest.approx(algebra.svcca(X, Y), rel=1e-9)


@pytest.mark.parametrize("width", [8, 40], ids=["by features", "by Grams"])
def test_a_zoo_has_the_nulls_that_users_get_pair_by_pair(width):
    """All pairs share orders, scores and matrices of layers; alone, each has the same values and p."""
    rng = np.random.default_rng(4)
    sides = [[rng.standard_normal((60, width)) for _ in range(2)] for _ in range(2)]
    orders = draw_permutations(60, PERMUTATIONS, seed=1)
    told = zoo_p_values(sides, orders, closed=True)
    for x, y in np.ndindex(2, 2):
        X, Y = sides[0][x], sides[1][y]
        plain = {"cka": algebra.cka, "cka_rbf": cka_rbf, "rsa": rsa, "mutual_knn": mutual_knn}
        for name, function in (plain | ({"cca_sq": algebra.cca_sq} if width == 8 else {})).items():
            permuted = np.array([function(X, Y[order]) for order in orders])
            reached = np.sum(permuted >= function(X, Y) - 1e-12)
            assert told[f"{name} permuted"][0].reshape(2, 2)[x, y] == (1 + reached) / (PERMUTATIONS + 1)
        own = [NullSums.of_matrix(linear_kernel(SampleGram.from_block(rows)).whole) for rows in (X, Y)]
        expected = closed_null(*own).p_value(np.array(algebra.cka(X, Y)))
        assert told["cka exact"][0][x, y] == pytest.approx(float(expected), rel=1e-8)
    assert ("cca_sq permuted" in told) == (width == 8)


def test_a_zoo_of_two_layers_is_one_pair_and_its_own_family():
    found = NullTrial(replace(NULLS, layers=2), 0).block(0, 2)
    for counts in found.values():
        assert counts["repeats"] == counts["pairs"] == 2
        assert counts["found"] == counts["pairs_found"]
    nulls = {name.rpartition(" ")[0] for name in found}
    assert nulls == {
        name for name, about in registry.indices()[0].items() if about.null and about.equals is None
    }
    assert {"cka permuted", "cka exact", "cka spectral", "cka_rbf exact", "rsa permuted"} <= found.keys()
    assert 0.05 * (PERMUTATIONS + 1) >= 1


def test_copies_are_nearly_one_image_and_stay_together():
    model = Model("near copies", "flatten", (8,), 1)
    rng = np.random.default_rng(0)
    [layer] = model.rows(rng, model.latent(rng, 400))
    layer = layer - layer.mean(axis=0)
    of_four = layer.reshape(100, 4, 8)
    apart = of_four - of_four.mean(axis=1, keepdims=True)
    assert (apart**2).sum() < 0.15 * (layer**2).sum()
    cell = Cell("intervals", "near copies", "pooled", 100, 8, 2)
    assert IntervalTrial(cell, 0)._sizes() == [20] * 5
    assert IntervalTrial(replace(cell, regime="gaussian"), 0)._sizes() == [5] * 20


def test_nulls_of_copies_find_what_is_not_there_unless_whole_groups_are_exchanged(monkeypatch):
    cell = Cell("nulls", "near copies", "pooled", 100, 8, 2)
    together = NullTrial(cell, 5).block(0, 100)["cka permuted"]
    assert together["pairs_found"] <= 100 * 0.05 + 3 * np.sqrt(100 * 0.05 * 0.95)
    monkeypatch.setattr("stitchpipe.certification.null_zoos.copies_of", lambda _: 1)
    assert NullTrial(cell, 5).block(0, 40)["cka permuted"]["pairs_found"] > 20


@pytest.mark.usefixtures("quick")
def test_what_was_cut_short_goes_on_and_is_the_same(tmp_path):
    scope, told = Scope(repeats=BLOCK), []
    files = RunPlace.at(tmp_path / "run").files
    certify(files, scope, lambda *done: told.append(done), limit_s=-1.0)
    assert told == []
    certify(files, scope, lambda *done: told.append(done))
    steps = [(block.cell, progress.done, progress.blocks) for block, progress in told]
    assert steps == [(INTERVALS, 1, 2), (NULLS, 2, 2)]
    assert told[0][1].left_s > 0
    assert told[1][1].left_s == 0
    certify(files, scope, lambda *done: told.append(done))
    assert len(told) == 2
    blocks = taken(files, 0)
    assert {block.cell: block.counts for block in blocks} == {block.cell: block.counts for block, *_ in told}
    assert taken(files, 1) == []
    page = certification_page(blocks)
    for index in intervals.indices_with_intervals():
        assert f"| `{index.name}` | " in page
    assert "**Nulls, zoos of 5 layers, 100 images, 8 features, 50 repeats**" in page
    assert sum(verdicts(blocks).values()) == sum(
        bool(of) for cell in summed(blocks).values() for of in cell.values()
    )


@pytest.mark.usefixtures("quick")
def test_what_intervals_are_held_against_is_formed_once_for_each_cell(tmp_path, monkeypatch):
    formed = []
    limits = IntervalTrial.limits
    monkeypatch.setattr(IntervalTrial, "limits", lambda trial: formed.append(trial.cell) or limits(trial))
    files, scope = RunPlace.at(tmp_path / "run").files, Scope(repeats=2 * BLOCK)
    before = progress(files, scope)
    assert (before.done, before.blocks) == (0, 4)
    certify(files, scope, lambda *_: None)
    assert formed == [INTERVALS]
    after = progress(files, scope)
    assert (after.done, after.left_s) == (4, 0.0)
    # A longer certification takes what blocks took, less what was done once.
    longer = progress(files, Scope(repeats=3 * BLOCK))
    second = {block.cell: block.processor_s for block in taken(files, 0) if block.number == 1}
    assert longer.left_s == pytest.approx(second[INTERVALS] + _mean_of_nulls(files), rel=1e-9)


def _mean_of_nulls(files):
    return np.mean([block.processor_s for block in taken(files, 0) if block.cell == NULLS])


def test_by_default_cells_have_a_thousand_repeats_and_large_zoos_fewer():
    scope, counts = Scope(), Counter(cell for cell, _ in Scope().blocks())
    assert {BLOCK * counts[cell] for cell in scope.cells() if cell.layers < 20} == {1000}
    assert {BLOCK * counts[cell] for cell in scope.cells() if cell.layers == 50} == {400}
    # Of the first round every cell has one block: cut short, none is left out.
    first = [cell for cell, _ in list(scope.blocks())[: len(counts)]]
    assert first == scope.cells()
    told = sum(planned_s(cell, with_limits=block == 0) for cell, block in scope.blocks())
    assert told < 2 * 3600


@pytest.mark.parametrize(("count", "repeats"), [(0, 25), (380, 400), (25, 25), (24, 400)])
def test_a_share_has_the_interval_of_wilson(count, repeats):
    share = Share(count, repeats)
    expected = stats.binomtest(count, repeats).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_words_are_judged_with_the_error_of_the_share():
    coverage = [
        coverage_word(Share(*of))
        for of in ((950, 1000), (399, 400), (340, 400), (24, 25), (370, 400), (965, 1000), (380, 400))
    ]
    assert coverage == [
        "within",
        "over-covers",
        "under-covers",
        "too few repeats",
        "at a limit",
        "at a limit",
        "at a limit",
    ]
    size = [size_word(Share(*of)) for of in ((40, 1000), (0, 400), (48, 400), (1, 25), (26, 400), (50, 1000))]
    assert size == ["within", "within", "too often", "too few repeats", "at a limit", "at a limit"]


def test_a_table_says_repeats_errors_and_what_all_cells_say_together():
    """Shares of made-up counts: a cell's own, an index's over all cells, and a null's over all cells."""
    other = replace(INTERVALS, regime="gaussian")
    nulls = [NULLS, replace(NULLS, regime="gaussian")]
    held = {"repeats": 1000, "value": 1.0, "corrected": 1.0}
    limits = {"population": {"cka": 0.0}, "mean": {}}
    blocks = [
        Block(INTERVALS, 0, 0, {"cka": {**held, "held": 950}}, limits, 1.0),
        Block(other, 0, 0, {"cka": {**held, "held": 900}}, limits, 1.0),
        *(Block(cell, 0, 0, {"cka exact": {"repeats": 2000, "found": 100}}, {}, 1.0) for cell in nulls),
    ]
    page = certification_page(blocks)
    assert "| `cka` | estimate | 90.0 ± 1.9 ↓ | 95.0 ± 1.4 |" in page
    assert "| `cka` | estimate | 1 | 0 | 0 | 1 | 90.0 | 95.0 |" in page
    assert "100 images, 8 features, 1,000 repeats**" in page
    assert "| `cka` | closed form, three exact moments | 5.0 ± 0.7 | 5.0 ± 1.0 ≈ | 5.0 ± 1.0 ≈ |" in page
    assert "2 at a limit" in page


@pytest.mark.parametrize(
    "wrong", [{"n": (90,)}, {"n": (210,)}, {"widths": (6,)}, {"zoos": (1,)}, {"repeats": 30}]
)
def test_what_cannot_be_simulated_is_refused(wrong):
    with pytest.raises(CertificationError, match="certify"):
        Scope(**wrong)
