"""Activations of chosen samples, and questions about samples: from the store alone, held against textbook answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

import stitchpipe as sp
from stitchpipe.asking import WorkspaceError, layer_rows
from storage import SampleIdError

N = 90


@pytest.fixture(scope="module")
def values():
    generator = np.random.default_rng(0)
    images = generator.normal(size=(N, 5, 3, 2)).astype(np.float32)
    tokens = generator.normal(size=(N, 5, 4)).astype(np.float32)
    return {"images": images + np.arange(5)[None, :, None, None].astype(np.float32), "tokens": tokens}


@pytest.fixture(scope="module")
def ids():
    return [f"image-{number:02d}" for number in range(N)]


@pytest.fixture(scope="module")
def run(tmp_path_factory, values, ids):
    folder = tmp_path_factory.mktemp("run")
    labels = np.array(["cat", "dog", "eel"])[np.arange(N) % 3]
    sp.ingest_batches(folder, [(ids, values, labels)], dataset="D", split="test", model="M", row_groups=4)
    return sp.open(folder)


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch):
    monkeypatch.setattr(layer_rows, "BLOCK_BYTES", 8 * 30 * 7)


def test_the_stores_order_is_the_default_and_the_datas_own_can_be_had(run, values, ids):
    stored = run.activations("M/images")
    assert stored.sample_id.values.tolist() != ids
    own = run.activations("M/images", order="data")
    assert own.sample_id.values.tolist() == ids
    np.testing.assert_array_equal(own.values, values["images"])
    np.testing.assert_array_equal(own.label.values, np.arange(N) % 3)
    again = own.sel(sample=[ids.index(name) for name in stored.sample_id.values])
    np.testing.assert_array_equal(again.values, stored.values)


def test_samples_are_chosen_by_id_class_and_mask(run, values, ids):
    wanted = [ids[7], ids[3], ids[7]]
    np.testing.assert_array_equal(run.activations("M/images", samples=wanted), values["images"][[7, 3, 7]])
    dogs = run.activations("M/images", labels=["dog"], order="data")
    np.testing.assert_array_equal(dogs.values, values["images"][1::3])
    mask = np.arange(N) < 10
    first = run.activations("M/images", mask=mask, order="data", labels=[0, 2])
    np.testing.assert_array_equal(first.values, values["images"][[0, 2, 3, 5, 6, 8, 9]])
    in_store = run.activations("M/images", mask=mask)
    np.testing.assert_array_equal(in_store.values, run.activations("M/images").values[:10])


@pytest.mark.parametrize(
    ("which", "error", "words"),
    [
        ({"samples": ["image-7"]}, SampleIdError, "Did you mean 'image-"),
        ({"labels": ["cow"]}, SampleIdError, "cat, dog, eel"),
        ({"mask": [True]}, WorkspaceError, "boolean mask of 90 samples"),
        ({"order": "dat"}, WorkspaceError, "Did you mean 'data'"),
        ({"samples": ["image-07"], "order": "data"}, WorkspaceError, "Leave one of them out"),
        ({"sample": ["image-07"]}, WorkspaceError, "Did you mean 'samples'"),
        ({"split": "train"}, WorkspaceError, "There is: D/test"),
    ],
)
def test_what_cannot_be_chosen_is_said(run, which, error, words):
    with pytest.raises(error, match=words):
        run.activations("M/images", **which)


@pytest.mark.parametrize("smallest", [False, True])
@pytest.mark.parametrize("by", ["mean", "max"])
@pytest.mark.parametrize(("layer", "axis"), [("images", 1), ("tokens", 2)])
def test_the_top_samples_of_a_channel_are_those_of_the_whole_array(
    run, values, ids, layer, axis, by, smallest
):
    frame = run.top_samples(f"M/{layer}", 2, by=by, top=6, smallest=smallest)
    channel = np.take(values[layer], 2, axis=axis).astype(np.float64).reshape(N, -1)
    expected = channel.mean(axis=1) if by == "mean" else channel.max(axis=1)
    order = np.argsort(expected if smallest else -expected)[:6]
    assert frame["sample_id"].tolist() == [ids[k] for k in order]
    np.testing.assert_allclose(frame["value"], expected[order], rtol=1e-12)
    assert frame["class"].tolist() == [("cat", "dog", "eel")[k % 3] for k in order]


@pytest.mark.parametrize("view", ["pooled", "flatten"])
def test_class_means_and_the_plane_of_most_variance(run, values, view):
    rows = values["images"].astype(np.float64)
    rows = rows.mean(axis=(2, 3)) if view == "pooled" else rows.reshape(N, -1)
    means = run.class_means("M/images", view=view)
    np.testing.assert_allclose(means.sel({"class": "dog"}), rows[1::3].mean(axis=0), rtol=1e-10)
    assert means["n_samples"].values.tolist() == [30, 30, 30]
    plane = run.projection("M/images", view=view).sortby("sample_id")
    expected = PCA(2, svd_solver="full").fit(rows)
    np.testing.assert_allclose(np.abs(plane), np.abs(expected.transform(rows)), atol=1e-9)
    np.testing.assert_allclose(plane["share"], expected.explained_variance_ratio_, rtol=1e-9)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("layer", ["images", "tokens"])
def test_the_nearest_samples_of_one(run, values, ids, layer, metric):
    from sklearn.metrics import pairwise_distances

    rows = values[layer].astype(np.float64).reshape(N, -1)
    expected = pairwise_distances(rows[4:5], rows, metric=metric)[0]
    frame = run.nearest_samples(f"M/{layer}", ids[4], metric=metric, view="flatten", top=5)
    order = np.argsort(expected)[1:6]
    assert frame["sample_id"].tolist() == [ids[k] for k in order]
    np.testing.assert_allclose(frame["distance"], expected[order], rtol=1e-9)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda run: run.top_samples("M/images", 5), "a channel from 0 to 4"),
        (lambda run: run.top_samples("M/images", 0, by="median"), "mean, max"),
        (lambda run: run.top_samples("M/images", 0, top=0), "top of at least 1"),
        (lambda run: run.nearest_samples("M/images", "image-04", metric="cosin"), "Did you mean 'cosine'"),
        (lambda run: run.class_means("M/images", view="positions"), "one row for each sample"),
        (lambda run: run.projection("M/images", components=6), "6 components of 5 features"),
        (lambda run: run.class_means("M/imags"), "Did you mean 'M/images'"),
        (lambda run: run.image("image-04"), "keeps the sweep"),
    ],
)
def test_a_question_about_samples_that_has_no_answer_is_refused(run, ask, words):
    with pytest.raises(WorkspaceError, match=words):
        ask(run)


def test_images_are_those_that_the_networks_saw(tiny, tmp_path):
    run, images = sp.open(tiny.root), tiny.run.data.splits["test"]
    wanted = [images.sample_ids[5], images.sample_ids[2]]
    np.testing.assert_array_equal(run.images(wanted), images.batch([5, 2]))
    stored = run.activations("A/layer1.0").sample_id.values.tolist()
    first = images.sample_ids.index(stored[0])
    np.testing.assert_array_equal(run.images()[0], images.batch([first])[0])
    picture = run.image(wanted[0])
    assert picture.size == (8, 8)
    assert picture.mode == "L"
    assert np.asarray(picture).max() > 200
    with pytest.raises(SampleIdError):
        run.image("digits-9999")
    with pytest.raises(WorkspaceError, match="a split"):
        run.images(split="tset")


def test_other_images_than_those_of_the_run_are_refused(tiny, tmp_path):
    copy = tiny.copy(tmp_path / "copy")
    text = copy.place.declaration()
    copy.place.declare(text.replace('kind = "digits"', 'kind = "digits"\nlimit = 450'))
    with pytest.raises(WorkspaceError, match="those that the run was made of"):
        sp.open(copy.place.url).images(split="train")
