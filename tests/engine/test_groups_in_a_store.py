"""Images that belong together, in a store whose row groups cut through their groups: intervals, nulls, bytes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from stitchpipe import algebra
from stitchpipe.algebra.certainty import draw_permutations
from stitchpipe.algebra.samples import SampleGram
from stitchpipe.engine import Comparison, ImageComparison, PairNumbers, Pairs
from stitchpipe.engine.samples.compare_images import compare_images
from stitchpipe.engine.samples.kept_images import keep_images
from stitchpipe.engine.samples.kept_null_sums import keep_null_sums
from stitchpipe.rows import to_rows
from storage.reading.shard import ShardReader
from tests.engine.conftest import written
from tests.engine.tasks import formed, records_of

COPIES, SCENES = 4, 15
N = COPIES * SCENES
SHAPES = {"a": (3, 4, 4), "b": (5, 2, 2)}
ROW_GROUPS = 20  # of three images: each group of four lies in two or three of them
SCENE_OF = [f"scene {(7 * k) % SCENES}" for k in range(N)]


def near_copies(seed):
    """Return layers of images in four copies each; what the layers see of an image has nothing in common."""
    rng = np.random.default_rng(seed)
    of_scene = {name: rng.standard_normal((SCENES, *shape)) for name, shape in SHAPES.items()}
    scenes = np.array([int(scene.split()[1]) for scene in SCENE_OF])
    return {
        name: (values[scenes] + 0.05 * rng.standard_normal((N, *SHAPES[name]))).astype(np.float32)
        for name, values in of_scene.items()
    }


def stored(root, groups):
    return written(root, {"test": near_copies(3)}, row_groups=ROW_GROUPS, groups={"test": groups})


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("grouped") / "store.zarr", SCENE_OF)


def comparison_of(some, indices, *, view="pooled", **options):
    return Comparison(some.layers, some.splits, {view: Pairs.of({(0, 1)})}, {view: indices}, **options)


def rows_of(some, view="pooled"):
    return [to_rows(some.blocks["test", layer.layer], view) for layer in some.layers]


def test_intervals_are_a_jackknife_that_leaves_out_each_group(grouped, tmp_path):
    indices = ("cka", "cka_biased", "procrustes")
    comparison = comparison_of(grouped, indices, intervals=True)
    work = formed(comparison, grouped.resources(tmp_path))
    [split] = work.plan.splits
    assert [split.samples_of(leaf) for leaf in split.leaves()] == [COPIES] * SCENES
    assert len(split.pieces) > ROW_GROUPS
    rows, numbers = rows_of(grouped), {record.index: record.number for record in records_of(work)}
    for name in indices:
        whole = algebra.evaluate(name, algebra.PairMoments.from_rows(*rows)).value
        without = []
        for start in range(0, N, COPIES):
            rest = [np.delete(layer, slice(start, start + COPIES), axis=0) for layer in rows]
            without.append(algebra.evaluate(name, algebra.PairMoments.from_rows(*rest)).value)
        # Quenouille and Tukey, with G equal groups
        error = np.sqrt((SCENES - 1) / SCENES * ((without - np.mean(without)) ** 2).sum())
        estimate = SCENES * whole - (SCENES - 1) * np.mean(without)
        of_value = algebra.INDICES[name].measure.interval == "sample"
        about, unsure = (whole, 0.0) if of_value else (estimate, (whole - estimate) / SCENES)
        half = student.ppf(0.975, SCENES - 1) * np.hypot(error, unsure)
        extras = numbers[name].extras
        assert numbers[name].value == pytest.approx(whole, rel=1e-9)
        assert extras["corrected"] == pytest.approx(estimate, rel=1e-7, abs=1e-9)
        assert (extras["low"], extras["high"]) == pytest.approx((about - half, about + half), rel=1e-6)
        assert "effect_size" not in extras


def test_chunks_at_the_cuts_are_read_as_often_as_the_plan_says(grouped, tmp_path, monkeypatch):
    read = []
    decode = ShardReader._decode

    def noted(self, data, into, layout, chunk):
        read.append(into.nbytes)
        return decode(self, data, into, layout, chunk)

    comparison = comparison_of(grouped, ("cka",))
    plan = comparison.plan(memory_limit_bytes=2**31)
    assert {layer.chunk_samples for layer in grouped.layers} == {3}
    first = sum(layer.sample_bytes for layer in grouped.layers) * 3  # of the shifts, read by themselves
    monkeypatch.setattr(ShardReader, "_decode", noted)
    formed(comparison, grouped.resources(tmp_path))
    assert sum(read) == first + plan.cost.bytes_read
    samples = sum(grouped.blocks["test", name].nbytes for name in SHAPES)
    assert plan.cost.bytes_read > samples


def images_of(some, folder, indices, permutations=39):
    comparison = ImageComparison.of(
        comparison_of(some, indices, permutations=permutations), some.resources(folder)
    )
    for layer in range(len(some.layers)):
        keep_images(comparison, layer, "pooled")
        keep_null_sums(comparison, layer, "pooled")
    numbers = compare_images(comparison, "pooled", [0, 1], [0, 1]).numbers
    return {record.index: record.number for record in numbers.records() if record.pair == (0, 1)}


def test_a_null_is_that_of_rows_whose_groups_are_exchanged(grouped, tmp_path):
    x, y = rows_of(grouped)
    number = images_of(grouped, tmp_path, ("cka",))["cka"]
    bounds = grouped.splits[0].groups
    assert bounds == tuple((start, start + COPIES) for start in range(0, N, COPIES))
    null = [
        algebra.evaluate("cka", algebra.PairMoments.from_rows(x, y[order])).value
        for order in draw_permutations(N, 39, groups=bounds)
    ]
    observed = algebra.evaluate("cka", algebra.PairMoments.from_rows(x, y)).value
    assert number.value == pytest.approx(observed, rel=1e-8)
    assert number.extras["p_value"] == (1 + sum(value >= observed for value in null)) / 40
    assert not {"effect_size", "p_closed", "null_gap"} & set(number.extras)


def test_groups_of_one_give_every_number_of_no_groups(tmp_path):
    names = [f"test-{number}" for number in range(N)]
    alone, apart = stored(tmp_path / "alone", names), stored(tmp_path / "apart", None)
    assert alone.splits[0].pieces == apart.splits[0].pieces
    indices = ("cka", "rsa", "mutual_knn")
    told = [images_of(some, tmp_path / f"kept{at}", indices) for at, some in enumerate((alone, apart))]
    for name in indices:
        closed = {"effect_size", "null_mean", "p_closed", "null_moments", "null_gap"}
        assert told[0][name].value == told[1][name].value
        assert told[0][name].extras.items() <= told[1][name].extras.items()
        assert set(told[1][name].extras) - set(told[0][name].extras) <= closed
    options = {"intervals": True}
    for view in ("pooled", "positions"):
        works = [
            formed(
                comparison_of(some, ("cka_biased",), view=view, **options),
                some.resources(tmp_path / f"{view}{at}"),
            )
            for at, some in enumerate((alone, apart))
        ]
        one, other = ([record.number for record in records_of(work)] for work in works)
        for mine, theirs in zip(one, other, strict=True):
            assert mine.value == theirs.value
            assert mine.extras.items() <= theirs.extras.items()


def test_what_groups_forbid_stands_beside_the_number(grouped, tmp_path):
    comparison = comparison_of(grouped, ("cka", "procrustes"), permutations=9)
    work = formed(comparison, grouped.resources(tmp_path))
    numbers = PairNumbers.of("pooled", records_of(work)).remarked(comparison.remarks["pooled"])
    said = {record.index: record.number for record in numbers.records()}
    assert said["cka"].status == "ok"
    assert "these come in groups" in said["cka"].reason
    assert said["procrustes"].reason is None


def test_no_limits_where_few_groups_force_the_number_and_it_is_said(grouped, tmp_path):
    # 15 scenes: 3 + 5 features leave something to chance; the 5 + 5 of a layer with itself would not, were there 11.
    comparison = comparison_of(grouped, ("cca_sq", "gulp", "cka"), intervals=True)
    numbers = {
        record.index: record.number for record in records_of(formed(comparison, grouped.resources(tmp_path)))
    }
    assert all(numbers[name].extras["low"] is not None for name in numbers)
    few = stored(tmp_path / "few.zarr", [f"scene {k % 8}" for k in range(N)])
    comparison = comparison_of(few, ("cca_sq", "gulp", "cka"), intervals=True)
    work = formed(comparison, few.resources(tmp_path / "few"))
    numbers = PairNumbers.of("pooled", records_of(work)).remarked(comparison.remarks["pooled"])
    found = {record.index: record.number for record in numbers.records()}
    for name in ("cca_sq", "gulp"):
        assert found[name].value is not None
        assert "no interval where p + q > 7" in found[name].reason
        assert not {"low", "high", "corrected"} & {
            key for key, told in found[name].extras.items() if told is not None
        }
    assert found["cka"].extras["low"] < found["cka"].value
    assert "no interval" not in found["cka"].reason


def share_of_zoos_with_a_finding(*, groups, repeats, seed):
    """Return how often independent layers of near-copies are told to be alike at 5 %, by debiased CKA."""
    rng, found = np.random.default_rng(seed), 0
    bounds = [(start, start + COPIES) for start in range(0, 80, COPIES)]
    for _ in range(repeats):
        x, y = (
            np.repeat(rng.standard_normal((20, 6)), COPIES, axis=0) + 0.1 * rng.standard_normal((80, 6))
            for _ in range(2)
        )
        sides = [[algebra.INDICES["cka"].of_gram(SampleGram.from_block(rows))] for rows in (x, y)]
        orders = draw_permutations(80, 19, seed=int(rng.integers(2**31)), groups=bounds if groups else None)
        null = algebra.INDICES["cka"].permuted(*sides, orders)
        found += bool(np.asarray(null.calibrated().p_value)[0, 0] <= 0.05)
    return found / repeats


def test_copies_taken_apart_find_what_is_not_there_and_whole_groups_do_not():
    assert share_of_zoos_with_a_finding(groups=False, repeats=60, seed=1) > 0.6
    held = share_of_zoos_with_a_finding(groups=True, repeats=200, seed=2)
    assert held <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
