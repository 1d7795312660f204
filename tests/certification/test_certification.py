"""What is simulated is what the formulas say, a certification goes on where it was cut short, and shares are judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stitchpipe import algebra, registry
from stitchpipe.certification import (
    Cell,
    CertificationError,
    Scope,
    certification_page,
    certify,
    intervals,
    taken,
)
from stitchpipe.certification.cells import BLOCK
from stitchpipe.certification.intervals import GROUPS, WEIGHTS, IntervalTrial, Limits
from stitchpipe.certification.null_zoos import PERMUTATIONS, NullTrial
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


def test_a_repeat_is_what_the_plain_functions_say_of_its_rows():
    """One sample of positions: its values, and what the jackknife makes of leaving out twenty groups of images."""
    trial, rng = IntervalTrial(INTERVALS, 3), np.random.default_rng(INTERVALS.seed(3, 0))
    names = tuple(index.name for index in intervals.indices_with_intervals())
    everything = Limits(names, np.full(len(names), 0.5), np.full(len(names), 0.5))
    found = trial.block(0, 1, everything)
    model = Model("clusters", "positions", (8, 8), WEIGHTS)
    X, Y = model.rows(rng, model.latent(rng, 100))

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
    assert [(block.cell, *counts) for block, *counts in told] == [(INTERVALS, 1, 2), (NULLS, 2, 2)]
    certify(files, scope, lambda *done: told.append(done))
    assert len(told) == 2
    blocks = taken(files, 0)
    assert {block.cell: block.counts for block in blocks} == {block.cell: block.counts for block, *_ in told}
    assert taken(files, 1) == []
    page = certification_page(blocks)
    for index in intervals.indices_with_intervals():
        assert f"| `{index.name}` | " in page
    assert "**Nulls, zoos of 5 layers, 100 images, 8 features**" in page
    assert sum(verdicts(blocks).values()) == sum(
        bool(of) for cell in summed(blocks).values() for of in cell.values()
    )


@pytest.mark.parametrize(("count", "repeats"), [(0, 25), (380, 400), (25, 25), (24, 400)])
def test_a_share_has_the_interval_of_wilson(count, repeats):
    share = Share(count, repeats)
    expected = stats.binomtest(count, repeats).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-4)


def test_words_are_judged_with_the_error_of_the_share():
    coverage = [
        coverage_word(Share(*of)) for of in ((380, 400), (399, 400), (340, 400), (24, 25), (370, 400))
    ]
    assert coverage == ["within", "over-covers", "under-covers", "too few repeats", "too few repeats"]
    size = [size_word(Share(*of)) for of in ((20, 400), (0, 400), (48, 400), (1, 25), (26, 400))]
    assert size == ["within", "within", "too often", "too few repeats", "too few repeats"]


@pytest.mark.parametrize(
    "wrong", [{"n": (90,)}, {"n": (210,)}, {"widths": (6,)}, {"zoos": (1,)}, {"repeats": 30}]
)
def test_what_cannot_be_simulated_is_refused(wrong):
    with pytest.raises(CertificationError, match="certify"):
        Scope(**wrong)
