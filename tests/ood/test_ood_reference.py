"""The scores of a stitched representation: closed cases, degenerate ones, refusals."""

from __future__ import annotations

import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial import cKDTree
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from stitchpipe.ood import (
    SCORES,
    OodError,
    PositionSampling,
    TargetReference,
    features_of,
    native_of,
    observe,
    observed,
)
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


OF_ROWS = [score for score in SCORES.own.values() if score.measure.computed_from == "stitched_rows"]


class Judge:
    """The scores of rows, fitted to what was observed of a target layer."""

    def __init__(self, train, test, *, sampling=None, **keywords):
        self._sampling = sampling
        self._reference = TargetReference(native_of(train, test, **keywords), OF_ROWS)

    def score(self, blocks):
        scores = self._reference.score(observe(blocks, self._sampling))
        return SimpleNamespace(**{name.removeprefix("ood_"): number for name, number in scores.items()})


def reference(train=TRAIN, test=TEST, *, sampling=None, **keywords):
    native = (observe([one], sampling) for one in (train, test))
    return Judge(*native, sampling=sampling, **keywords)


def noted(statistic, name):
    assert statistic.status == "ok"
    assert statistic.reason is None
    return statistic.extras[name]


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

    def residual(x):  # of half the directions, from the covariance's own eigenvectors
        _, vectors = np.linalg.eigh(np.cov(known, rowvar=False))
        return np.linalg.norm((x - known.mean(0)) @ vectors[:, : Q - Q // 2], axis=1)

    for statistic, distance in (
        (scores.mahalanobis, mahalanobis), (scores.knn, fourth), (scores.vim, residual),
    ):  # fmt: skip
        area = roc_auc_score(truth, [*distance(native), *distance(foreign)])
        assert 0.02 < abs(2 * area - 1) < 0.98
        assert statistic.value == pytest.approx(abs(2 * area - 1), abs=1e-12)
        assert statistic.extras == {"auroc": pytest.approx(area, abs=1e-12)}

    def ratio(a, b):
        a, b = (np.concatenate([x.mean(axis=(2, 3)), x.std(axis=(2, 3))], axis=1) for x in (a, b))
        one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
        spread = np.trace(one + two - 2 * np.real(sqrtm(one @ two)))
        return (((a.mean(0) - b.mean(0)) ** 2).sum() + spread) / np.trace(one)

    assert scores.frechet.value == pytest.approx(ratio(TEST, stitched), rel=1e-9)
    assert noted(scores.frechet, "floor") == pytest.approx(ratio(TEST, TRAIN), abs=1e-6)
    mass = sum(-x for x in stitched.ravel() if x < 0) / sum(abs(x) for x in stitched.ravel())
    assert scores.negative_mass.value == pytest.approx(mass, rel=1e-12)


def test_positional_statistics_agree_with_a_computation_of_their_own():
    """Every position of every image: then no sampling stands between the rows and the definition."""
    everything = PositionSampling(per_image=16, rows=10**6)
    stitched = 0.95 * images(70, 4) + 0.02
    judge = reference(neighbours=4, sampling=everything)
    scores = judge.score(np.array_split(stitched, 5))
    train, test, found = (np.moveaxis(x.reshape(len(x), Q, 16), 1, 2) for x in (TRAIN, TEST, stitched))
    rows = train.reshape(-1, Q)
    centre, unit = rows.mean(0), rows.std(0)
    known = (rows - centre) / unit
    precision = np.linalg.inv(LedoitWolf().fit(known).covariance_)
    _, vectors = np.linalg.eigh(np.cov(known, rowvar=False))
    tree = cKDTree(known)
    distances = {
        "mahalanobis": lambda x: np.einsum("np,pq,nq->n", x, precision, x),
        "knn": lambda x: tree.query(x, k=4)[0][:, 3],
        "vim": lambda x: np.linalg.norm(x @ vectors[:, : Q - Q // 2], axis=1),
    }
    for name, distance in distances.items():
        native, foreign = (
            [float(np.mean(distance((image - centre) / unit))) for image in split] for split in (test, found)
        )
        area = roc_auc_score([0] * 70 + [1] * 70, [*native, *foreign])
        assert 0.02 < abs(2 * area - 1) < 0.98
        statistic = getattr(scores, f"{name}_positional")
        assert statistic.value == pytest.approx(abs(2 * area - 1), abs=1e-12), name
        assert statistic.extras == {"auroc": pytest.approx(area, abs=1e-12)}
    one, two = (np.cov(x.reshape(-1, Q), rowvar=False) for x in (test, found))
    between = ((test.mean((0, 1)) - found.mean((0, 1))) ** 2).sum()
    ratio = (between + np.trace(one + two - 2 * np.real(sqrtm(one @ two)))) / np.trace(one)
    assert scores.frechet_positional.value == pytest.approx(ratio, rel=1e-9)


def test_positions_show_what_pooling_hides():
    """Positions in another order within each channel: every pooled mean and spread stays what it was."""
    rng = np.random.default_rng(7)

    def shared(n):  # one pattern over positions, in every channel
        return rng.standard_normal((n, 1, 16)) * np.ones((Q, 1)) + 0.1 * rng.standard_normal((n, Q, 16))

    train, test = shared(150), shared(70)
    shuffled = rng.permuted(test, axis=2)
    scores = reference(*(x.reshape(-1, Q, 4, 4) for x in (train, test))).score(
        [shuffled.reshape(-1, Q, 4, 4)]
    )
    for name in ("mahalanobis", "knn", "vim", "frechet"):
        # Sums in another order: an image may no longer tie with itself, of 70 × 70 pairs.
        assert getattr(scores, name).value <= 1 / 70
    for name in POSITIONAL:
        assert getattr(scores, name).value > 0.5


def test_what_leaves_the_principal_subspace_is_seen_by_the_residual_alone():
    """Little noise where native rows hardly vary: nearer than native rows elsewhere by distance, yet outside."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((Q, Q)))[0]

    def rows(n, small):
        return np.c_[rng.standard_normal((n, 3)), small * rng.standard_normal((n, 3))] @ basis

    scores = reference(rows(300, 1e-3), rows(200, 1e-3)).score([rows(200, 1e-2)])
    assert scores.vim.value > 0.99
    assert scores.knn.value < 0.2


def test_scale_of_the_layer_and_blocks_do_not_matter():
    stitched = images(70, 4, relu=False)
    one = vars(reference().score([stitched]))
    two = vars(reference(1e-4 * TRAIN, 1e-4 * TEST).score(np.array_split(1e-4 * stitched, 7)))
    assert [f"ood_{name}" for name in one] == [score.name for score in OF_ROWS]
    for name, statistic in one.items():
        assert two[name].value == pytest.approx(statistic.value, rel=1e-9)


def test_negative_mass_needs_a_layer_that_is_never_negative():
    signed = images(150, 1, relu=False)
    found = reference(train=signed).score([TEST]).negative_mass
    assert (found.value, found.status) == (None, "not_applicable")
    assert "≥ 0" in found.reason
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
DETECTORS = ("mahalanobis", "knn", "vim")
EVERY = tuple(score.name.removeprefix("ood_") for score in OF_ROWS)
POSITIONAL = tuple(name for name in EVERY if name.endswith("_positional"))
DETECTED = (*DETECTORS, *(f"{name}_positional" for name in DETECTORS))
CHANNEL = (np.arange(Q) == 2)[:, None, None]
DEGENERATE = {  # name: train, test, stitched, and what has another status than ok
    "zeros": (np.zeros_like(TRAIN), np.zeros_like(TEST), TEST, dict.fromkeys(EVERY, "constant")),
    "constant target": (
        np.full_like(TRAIN, 0.1),
        CONSTANT,
        TEST,
        {**dict.fromkeys(EVERY, "constant"), "negative_mass": "ok"},
    ),
    "constant stitch": (TRAIN, TEST, CONSTANT, {}),
    "zero stitch": (TRAIN, TEST, np.zeros_like(TEST), {}),
    "constant test rows": (
        TRAIN,
        CONSTANT,
        TEST,
        {"frechet": "constant", "frechet_positional": "constant"},
    ),
    "one training image": (TRAIN[:1], TEST, TEST, dict.fromkeys(DETECTED, "too_few_rows")),
    "one test image": (
        TRAIN,
        TEST[:1],
        TEST[:1],
        {"frechet": "too_few_rows", "frechet_positional": "too_few_rows"},
    ),
    "one stitched image": (
        TRAIN,
        TEST,
        TEST[:1],
        {"frechet": "too_few_rows", "frechet_positional": "too_few_rows"},
    ),
    "fewer images than channels": (TRAIN[:3], TEST[:3], TEST[:3] + 1, {}),
    "one varying channel": (TRAIN * CHANNEL, TEST * CHANNEL, TEST, {}),
    "one channel": (
        TRAIN[:, :1],
        TEST[:, :1],
        TEST[:, :1] + 1,
        {"vim": "not_applicable", "vim_positional": "not_applicable"},
    ),
    "vectors": (
        TRAIN[:, :, 0, 0],
        TEST[:, :, 0, 0],
        TEST[:, :, 0, 0] + 1,
        dict.fromkeys(POSITIONAL, "not_applicable"),
    ),
    "one position": (TRAIN[..., :1, :1], TEST[..., :1, :1], TEST[..., :1, :1] + 1, {}),
    "infinite stitch": (TRAIN, TEST, np.full_like(TEST, np.inf), dict.fromkeys(EVERY, "non_finite")),
    "NaN in one place": (TRAIN, TEST, ONE_NAN, dict.fromkeys(EVERY, "non_finite")),
    "huge stitch": (TRAIN, TEST, np.full_like(TEST, 3e38), {}),
    "tiny target": (TRAIN * 1e-38, TEST * 1e-38, TEST, {}),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_representations_have_a_defined_answer_or_a_reason(case):
    train, test, stitched, others = DEGENERATE[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = reference(train, test).score([stitched])
    for name in EVERY:
        statistic = getattr(found, name)
        assert statistic.status == others.get(name, "ok"), name
        if statistic.status == "ok":
            assert math.isfinite(statistic.value)
            assert statistic.value >= 0.0
        else:
            assert statistic.value is None
            assert statistic.reason


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
    everything = PositionSampling(per_image=16)  # the store has its own order of images
    native = (observed(one, everything) for one in stored)
    one = vars(Judge(*native, sampling=everything).score([stitched]))
    for name, statistic in vars(reference(sampling=everything).score([stitched])).items():
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
