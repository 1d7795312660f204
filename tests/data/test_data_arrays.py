"""Images in NumPy files: layouts, number formats, ids and labels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stitchpipe.data import Reading, load_arrays
from tests.data.small_images import everything, noise, refuse

IMAGES, LABELS = noise(), np.array([0, 1, 2, 0, 1, 2])


def write(path, images=IMAGES, **arrays):
    np.savez(path, images=images, **arrays)
    return path


def load(path, **options):
    return load_arrays({"test": path}, name="cells", **options)["test"]


def test_images_labels_and_ids_come_back(tmp_path):
    split = load(write(tmp_path / "a.npz", labels=LABELS, ids=np.array([f"cell {k}" for k in range(6)])))
    assert (split.dataset, split.name, len(split)) == ("cells", "test", 6)
    assert split.sample_ids == tuple(f"cell {k}" for k in range(6))
    np.testing.assert_array_equal(split.labels, LABELS)
    assert split.labels.dtype == np.int64
    assert (split.class_names, split.n_classes) == ((), 3)
    np.testing.assert_allclose(everything(split), IMAGES / 255, rtol=1e-6)
    assert split.preprocessing == {
        "scale": "1/255", "size": None, "mean": None, "std": None, "channels": 3, "layout": "NHWC",
    }  # fmt: skip
    batch = split.batch([4, 1])
    assert batch.is_contiguous()
    assert torch.equal(batch, split.batch(range(6))[[4, 1]])


def test_without_labels_and_ids(tmp_path):
    images = noise(count=11)
    split = load(write(tmp_path / "a.npz", images))
    assert split.labels is None
    assert split.n_classes is None
    assert split.sample_ids[:2] == ("test/00", "test/01")
    assert split.sample_ids == tuple(sorted(split.sample_ids))


def test_labels_that_are_all_negative_are_none(tmp_path):
    assert load(write(tmp_path / "a.npz", labels=np.full(6, -1))).labels is None


def test_npy_is_memory_mapped_with_labels_beside_it(tmp_path):
    np.save(tmp_path / "a.npy", IMAGES)
    np.save(tmp_path / "y.npy", LABELS)
    split = load(tmp_path / "a.npy", label_files={"test": tmp_path / "y.npy"})
    np.testing.assert_array_equal(split.labels, LABELS)
    np.testing.assert_allclose(everything(split), IMAGES / 255, rtol=1e-6)
    assert isinstance(split.fetch._source.images, np.memmap)


@pytest.mark.parametrize(
    ("images", "declared", "resolved"),
    [
        (IMAGES, None, "NHWC"),
        (IMAGES.transpose(0, 3, 1, 2), None, "NCHW"),
        (IMAGES[..., 0], None, "NHW"),
        (IMAGES[..., :1], None, "NHWC"),
        (noise(size=(3, 4)), "NHWC", "NHWC"),
        (noise(size=(3, 4)).transpose(0, 3, 1, 2), "NCHW", "NCHW"),
        (np.concatenate([IMAGES, IMAGES], axis=3), "NHWC", "NHWC"),
    ],
)
def test_layouts(tmp_path, images, declared, resolved):
    split = load(write(tmp_path / "a.npz", images), layout=declared)
    axes = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1), "NHW": (0, 1, 2)}[resolved]
    wanted = images.transpose(axes).reshape(everything(split).shape)
    np.testing.assert_allclose(everything(split), wanted / 255, rtol=1e-6)
    assert split.preprocessing["layout"] == resolved


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
def test_floats_are_taken_as_they_are(tmp_path, dtype):
    images = (IMAGES.astype("float64") / 100 - 1).astype(dtype)
    split = load(write(tmp_path / "a.npz", images))
    assert split.preprocessing["scale"] == "none"
    np.testing.assert_array_equal(everything(split), images.astype("float32"))


def test_size_channels_and_normalisation(tmp_path):
    path = write(tmp_path / "a.npz", IMAGES[..., 0])
    plain = load(path, reading=Reading(size=3))
    split = load(path, reading=Reading(size=3, channels=3, mean=(0.1, 0.2, 0.3), std=(0.5,)))
    assert split.batch([0]).shape == (1, 3, 3, 3)
    expected = (everything(plain) - np.float32([0.1, 0.2, 0.3])) / np.float32(0.5)
    np.testing.assert_allclose(everything(split), expected, rtol=1e-5, atol=1e-6)
    assert split.preprocessing["channels"] == 3
    assert split.digest == plain.digest
    grey = load(write(tmp_path / "b.npz"), reading=Reading(channels=1))
    assert grey.batch([0]).shape == (1, 1, 5, 4)


def test_floats_are_resized_like_bytes(tmp_path):
    size = Reading(size=3)
    whole = load(write(tmp_path / "a.npz"), reading=size)
    floats = load(write(tmp_path / "b.npz", IMAGES.astype("float32") / 255), reading=size)
    np.testing.assert_allclose(everything(whole), everything(floats), atol=1.01 / 255)


def test_a_limit_with_and_without_labels(tmp_path):
    images, labels = noise(count=30), np.arange(30) % 3
    labelled = load(write(tmp_path / "a.npz", images, labels=labels), reading=Reading(limit=7))
    assert sorted(np.bincount(labelled.labels).tolist()) == [2, 2, 3]
    positions = [int(one.removeprefix("test/")) for one in labelled.sample_ids]
    assert positions == sorted(positions)
    np.testing.assert_array_equal(labelled.labels, labels[positions])
    np.testing.assert_allclose(everything(labelled), images[positions] / 255, rtol=1e-6)
    bare = [
        load(write(tmp_path / "b.npz", images), reading=Reading(limit=7, seed=seed)) for seed in (0, 0, 1)
    ]
    assert [len(one) for one in bare] == [7, 7, 7]
    assert bare[0].sample_ids == bare[1].sample_ids != bare[2].sample_ids


@pytest.mark.parametrize("change", ["pixel", "label", "id", "order"])
def test_the_digest_changes_with_what_the_data_are(tmp_path, change):
    images, labels, ids = IMAGES.copy(), LABELS.copy(), np.arange(6)
    before = load(write(tmp_path / "a.npz", images, labels=labels, ids=ids)).digest
    assert load(write(tmp_path / "b.npz", images, labels=labels, ids=ids)).digest == before
    if change == "pixel":
        images[3, 1, 1, 0] ^= 1
    elif change == "label":
        labels[0] = 1
    elif change == "id":
        ids[0] = 9
    else:
        images[[0, 1]] = images[[1, 0]]
    assert load(write(tmp_path / "c.npz", images, labels=labels, ids=ids)).digest != before


def test_other_names_of_the_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=IMAGES, y=LABELS)
    split = load(tmp_path / "a.npz", columns={"image": "x", "label": "y"})
    np.testing.assert_array_equal(split.labels, LABELS)
    refuse("no array 'images' among x, y", load, tmp_path / "a.npz")
    refuse("no array 'z'", load, tmp_path / "a.npz", columns={"image": "x", "id": "z"})


def not_finite():
    images = IMAGES.astype("float32")
    images[4, 0, 0, 0] = np.nan
    return images


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"images": IMAGES.astype("int32")}, "expected uint8 .* found int32"),
        ({"images": IMAGES > 9}, "found bool"),
        ({"images": IMAGES[0, 0]}, r"found shape \(4, 3\)"),
        ({"images": IMAGES[:0]}, r"found shape \(0, 5, 4, 3\)"),
        ({"images": noise(size=(3, 4))}, "either axis may be the channels.*data.layout"),
        ({"images": noise(size=(5, 7), channels=2)}, "either axis may be the channels"),
        ({"images": not_finite()}, "image 4: expected finite values"),
        ({"images": IMAGES.astype("float64") * 1e300}, "expected finite values that fit float32"),
        ({"labels": LABELS[:-1]}, r"expected 6 labels.*found shape \(5,\)"),
        ({"labels": LABELS / 2}, "found values of type float64"),
        ({"labels": LABELS - 1}, "found 2 negative ones"),
        ({"ids": np.array(["a"] * 6)}, "found 'a' more than once"),
        ({"ids": np.arange(5)}, "expected 6 ids"),
        ({"ids": np.linspace(0, 1, 6)}, "found shape .* of type float64"),
        ({"labels": np.array([{}] * 6, dtype=object)}, "pickled objects.*can run code"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, text):
    refuse(text, load, write(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_files_that_are_no_arrays(tmp_path, name):
    path = tmp_path / name
    assert "no such file" in refuse("NumPy file", load, path).found
    for content in (b"", b"no array", b"PK\x03\x04 half a zip"):
        path.write_bytes(content)
        assert refuse("NumPy file", load, path).where == str(path)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    refuse("can run code", load, tmp_path / "objects.npy")


def test_a_damaged_member_of_a_zip(tmp_path):
    path = write(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    refuse("NumPy file", load, path)


def test_files_of_the_wrong_kind(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"")
    refuse("expected a .npz, .npy or .parquet file", load, tmp_path / "a.pt")
    write(tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "b.npy")
    refuse("found several arrays", load, tmp_path / "b.npy")
    np.save(tmp_path / "c.npy", IMAGES)
    (tmp_path / "c.npy").rename(tmp_path / "c.npz")
    refuse("found a single array", load, tmp_path / "c.npz")
    refuse("data.label_files", load, tmp_path / "c.npz", label_files={"test": tmp_path / "y.npy"})


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (Reading(mean=(0.1, 0.2)), r"data.mean: .* \(3\), found 2"),
        (Reading(std=(0.0,)), "data.std: expected positive"),
    ],
)
def test_normalisation_that_does_not_fit(tmp_path, reading, text):
    refuse(text, load, write(tmp_path / "a.npz"), reading=reading)


def test_floats_are_not_made_grey(tmp_path):
    path = write(tmp_path / "a.npz", IMAGES.astype("float32"))
    refuse("found 3 channels of float32", load, path, reading=Reading(channels=1))
