"""The scores of a stitched representation: closed cases, degenerate ones, refusals."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from stitchpipe.ood import OodError, TargetReference, features_of
from storage import Address, LayerSpec, open_store

Q = 6


def images(n, seed, *, relu=True):
    """Channels of different size and spread that share a few causes, as a layer's do."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).standard_normal((3, Q))
    values = (rng.standard_normal((n, 3)) @ mixing)[:, :, None, None] + rng.standard_normal((n, Q, 4, 4))
    values = values * np.linspace(0.5, 3.0, Q)[:, None, None]
    return np.maximum(values, 0.0) if relu else values


TRAIN, TEST = images(150, 1), images(70, 2)


def reference(train=TRAIN, test=TEST, **keywords):
    return TargetReference(features_of([train]), features_of([test]), **keywords)


def noted(statistic, name):
    assert statistic.status == "ok"
    key, _, value = statistic.note.partition("=")
    assert key == name
    return float(value)


def test_the_native_representation_itself_is_not_foreign():
    scores = reference().score([TEST])
    assert noted(scores.mahalanobis, "auroc") == noted(scores.knn, "auroc") == 0.5
    assert scores.mahalanobis.value == scores.knn.value == 0.0
    assert scores.frechet.value == pytest.approx(0.0, abs=1e-13)
    assert scores.negative_mass.value == 0.0


def test_other_native_images_are_as_far_as_the_floor_says():
    again = reference().score([images(150, 3)])
    floor = noted(again.frechet, "floor")
    assert 0.3 * floor < again.frechet.value < 3 * floor
    assert again.mahalanobis.value < 0.2
    assert again.knn.value < 0.2
    training = reference().score([TRAIN])
    assert training.frechet.value == pytest.approx(floor, abs=1e-6)


def test_a_shifted_copy_is_foreign_in_every_row():
    shift = 30.0
    scores = reference().score([TEST + shift])
    for found in (scores.mahalanobis, scores.knn):
        assert found.value == 1.0
        assert noted(found, "auroc") == 1.0
    total = np.trace(np.cov(features_of([TEST]).moments, rowvar=False))
    assert scores.frechet.value == pytest.approx(Q * shift**2 / total, rel=1e-9)


def test_shrinkage_to_the_mean_is_foreign_although_nearer_than_native_rows():
    mean = TRAIN.mean(axis=0)
    scores = reference().score([mean + 0.05 * (TEST - mean)])
    assert noted(scores.mahalanobis, "auroc") == 0.0
    assert scores.mahalanobis.value == 1.0
    area = noted(scores.knn, "auroc")
    assert area < 0.4
    assert scores.knn.value == pytest.approx(1 - 2 * area, abs=2e-6)
    assert scores.frechet.value > 0.8


def test_every_statistic_agrees_with_a_computation_of_its_own():
    stitched = 1.3 * images(70, 4, relu=False) + 0.4
    scores = reference(neighbours=4).score([stitched])
    train, test, found = (x.mean(axis=(2, 3)) for x in (TRAIN, TEST, stitched))
    centre, unit = train.mean(0), train.std(0)
    known, native, foreign = ((x - centre) / unit for x in (train, test, found))
    precision = np.linalg.inv(LedoitWolf().fit(known).covariance_)
    truth = [0] * 70 + [1] * 70

    def mahalanobis(x):
        return [row @ precision @ row for row in x - known.mean(0)]

    def fourth(x):
        return np.sort(np.linalg.norm(x[:, None] - known[None], axis=2), axis=1)[:, 3]

    for statistic, distance in ((scores.mahalanobis, mahalanobis), (scores.knn, fourth)):
        area = roc_auc_score(truth, [*distance(native), *distance(foreign)])
        assert 0.02 < abs(2 * area - 1) < 0.98
        assert statistic.value == pytest.approx(abs(2 * area - 1), abs=1e-12)
        assert statistic.note == f"auroc={area:.6f}"

    def ratio(a, b):
        a, b = (np.concatenate([x.mean(axis=(2, 3)), x.std(axis=(2, 3))], axis=1) for x in (a, b))
        one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        spread = np.trace(one + two - 2 * np.real(sqrtm(one @ two)))
        return (((a.mean(0) - b.mean(0)) ** 2).sum() + spread) / np.trace(one)

    assert scores.frechet.value == pytest.approx(ratio(TEST, stitched), rel=1e-9)
    assert noted(scores.frechet, "floor") == pytest.approx(ratio(TEST, TRAIN), abs=1e-6)
    mass = sum(-x for x in stitched.ravel() if x < 0) / sum(abs(x) for x in stitched.ravel())
    assert scores.negative_mass.value == pytest.approx(mass, rel=1e-12)


def test_scale_of_the_layer_and_blocks_do_not_matter():
    stitched = images(70, 4, relu=False)
    one = reference().score([stitched]).named()
    two = reference(1e-4 * TRAIN, 1e-4 * TEST).score(np.array_split(1e-4 * stitched, 7)).named()
    assert list(one) == ["ood_mahalanobis", "ood_knn", "ood_frechet", "ood_negative_mass"]
    for name, statistic in one.items():
        assert two[name].value == pytest.approx(statistic.value, rel=1e-9)


def test_negative_mass_needs_a_layer_that_is_never_negative():
    signed = images(150, 1, relu=False)
    found = reference(train=signed).score([TEST]).negative_mass
    assert (found.value, found.status) == (None, "not_applicable")
    assert "≥ 0" in found.note
    assert reference(test=images(70, 2, relu=False)).score([TEST]).negative_mass.status == "not_applicable"
    assert reference().score([-TEST]).negative_mass.value == 1.0


def test_a_value_in_a_channel_that_is_natively_dead_is_foreign():
    def with_dead(x, value):
        return np.concatenate([x, np.full((len(x), 1, 4, 4), value)], axis=1)

    scores = reference(with_dead(TRAIN, 0.0), with_dead(TEST, 0.0)).score([with_dead(TEST, 30.0)])
    assert scores.mahalanobis.value == scores.knn.value == 1.0
    native = reference(with_dead(TRAIN, 0.0), with_dead(TEST, 0.0)).score([with_dead(TEST, 0.0)])
    assert native.mahalanobis.value == native.knn.value == 0.0


def test_tokens_and_vectors_are_scored_too():
    rows = TRAIN.mean(axis=(2, 3)), TEST.mean(axis=(2, 3))
    vectors = reference(*rows).score([rows[1] + 30.0])
    tokens = reference(*(np.moveaxis(x.reshape(len(x), Q, 16), 1, 2) for x in (TRAIN, TEST)))
    found = tokens.score([np.moveaxis(TEST.reshape(70, Q, 16), 1, 2) + 30.0])
    assert vectors.mahalanobis.value == found.mahalanobis.value == 1.0
    assert vectors.frechet.value > found.frechet.value > 0.0


CONSTANT = np.full_like(TEST, 0.1)
ONE_NAN = TEST.copy()
ONE_NAN[9, 2, 1, 0] = np.nan
DEGENERATE = {
    "zeros": (
        np.zeros_like(TRAIN),
        np.zeros_like(TEST),
        TEST,
        ("constant", "constant", "constant", "constant"),
    ),
    "constant target": (CONSTANT, CONSTANT, TEST, ("constant", "constant", "constant", "ok")),
    "constant stitch": (TRAIN, TEST, CONSTANT, ("ok", "ok", "ok", "ok")),
    "zero stitch": (TRAIN, TEST, np.zeros_like(TEST), ("ok", "ok", "ok", "ok")),
    "constant test rows": (TRAIN, CONSTANT, TEST, ("ok", "ok", "constant", "ok")),
    "one training row": (TRAIN[:1], TEST, TEST, ("too_few_rows", "too_few_rows", "ok", "ok")),
    "one test row": (TRAIN, TEST[:1], TEST[:1], ("ok", "ok", "too_few_rows", "ok")),
    "one stitched row": (TRAIN, TEST, TEST[:1], ("ok", "ok", "too_few_rows", "ok")),
    "fewer rows than channels": (TRAIN[:3], TEST[:3], TEST[:3] + 1, ("ok", "ok", "ok", "ok")),
    "one varying channel": (
        TRAIN * (np.arange(Q) == 2)[:, None, None],
        TEST * (np.arange(Q) == 2)[:, None, None],
        TEST,
        ("ok", "ok", "ok", "ok"),
    ),
    "infinite stitch": (TRAIN, TEST, np.full_like(TEST, np.inf), ("non_finite",) * 4),
    "NaN in one place": (
        TRAIN,
        TEST,
        np.where(np.arange(70)[:, None, None, None] == 9, np.nan, TEST),
        ("non_finite",) * 4,
    ),
    "huge stitch": (TRAIN, TEST, np.full_like(TEST, 3e38), ("ok", "ok", "ok", "ok")),
    "tiny target": (TRAIN * 1e-38, TEST * 1e-38, TEST, ("ok", "ok", "ok", "ok")),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_representations_have_a_defined_answer_or_a_reason(case):
    train, test, stitched, wanted = DEGENERATE[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(reference(train, test).score([stitched]).named().values())
    assert tuple(statistic.status for statistic in found) == wanted
    for statistic in found:
        if statistic.status == "ok":
            assert math.isfinite(statistic.value)
            assert statistic.value >= 0.0
        else:
            assert statistic.value is None
            assert statistic.note


def test_a_reference_serves_several_threads():
    judge = reference()
    stitched = [images(70, seed, relu=False) for seed in range(8)]
    alone = [judge.score([one]) for one in stitched]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda one: judge.score([one]), stitched)) == alone


@pytest.fixture
def stored(tmp_path):
    """Native representations of one layer in a store, on either split."""
    store = open_store(tmp_path / "store.zarr", mode="a")
    for split, values in (("train", TRAIN), ("test", TEST)):
        added = store.add_split("data", split, [f"{split}-{i}" for i in range(len(values))], row_groups=5)
        dump = store.begin_dump(
            dataset="data", split=split, model="m", layers={"l": LayerSpec((Q, 4, 4), "float32")},
            identity={"w": "0"}, provenance={},
        )  # fmt: skip
        for row_group in dump.missing_row_groups():
            start, stop = added.row_groups[row_group]
            rows = added.original_index[start:stop]
            dump.write(row_group, {"l": values[rows].astype("float32")})
        dump.seal()
    return [store.representation(Address("data", split, "m", "l")) for split in ("train", "test")]


def test_from_the_store_it_is_the_same_as_from_arrays(stored):
    stitched = images(70, 4, relu=False)
    one = TargetReference.fit(*stored).score([stitched]).named()
    for name, statistic in reference().score([stitched]).named().items():
        assert one[name].value == pytest.approx(statistic.value, rel=1e-4)


def test_other_layers_are_refused():
    with pytest.raises(OodError, match="6 features"):
        reference().score([TEST[:, :5]])
    with pytest.raises(OodError, match="another layout"):
        reference().score([TEST.mean(axis=(2, 3))])
    with pytest.raises(OodError, match="one layer"):
        reference(test=TEST[:, :5])


def test_native_rows_that_are_not_finite_and_no_neighbours_are_refused():
    with pytest.raises(OodError, match="finite"):
        reference(train=np.full_like(TRAIN, np.nan))
    with pytest.raises(OodError, match="neighbours.*at least 1"):
        reference(neighbours=0)
