"""Encoded images in Parquet files, plain and as Hugging Face data sets hold them."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stitchpipe.data import load_arrays
from tests.data.small_images import encoded, everything, noise, refuse

IMAGES = noise()
BYTES = [encoded(image) for image in IMAGES]
LABELS = [2, 0, 1, 1, 0, 2]


def write(path, columns, *, names=None, row_group_size=2):
    table = pa.table(columns)
    if names is not None:
        features = {"label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=row_group_size)
    return path


def load(path, **options):
    return load_arrays({"test": path}, name="cells", **options)["test"]


@pytest.mark.parametrize("kind", ["bytes", "large", "struct"])
def test_images_labels_ids_and_classes(tmp_path, kind):
    images = {
        "bytes": pa.array(BYTES, pa.binary()),
        "large": pa.array(BYTES, pa.large_binary()),
        "struct": pa.array([{"bytes": one, "path": f"{k}.png"} for k, one in enumerate(BYTES)]),
    }[kind]
    columns = {"image": images, "label": LABELS, "id": [f"row {k}" for k in range(6)]}
    split = load(write(tmp_path / "a.parquet", columns, names=["ant", "bee", "cow"]))
    np.testing.assert_allclose(everything(split), IMAGES / 255, rtol=1e-6)
    assert split.sample_ids == tuple(f"row {k}" for k in range(6))
    assert split.labels.tolist() == LABELS
    assert split.class_names == ("ant", "bee", "cow")
    np.testing.assert_allclose(split.batch([5])[0].permute(1, 2, 0), IMAGES[5] / 255, rtol=1e-6)


def test_grey_images_without_labels_and_ids(tmp_path):
    grey = noise(channels=1)
    split = load(write(tmp_path / "a.parquet", {"image": [encoded(one) for one in grey]}))
    assert split.labels is None
    assert split.sample_ids == tuple(f"test/{k}" for k in range(6))
    np.testing.assert_allclose(everything(split), grey / 255, rtol=1e-6)


@pytest.mark.parametrize("labels", [pa.nulls(6, pa.int64()), [-1] * 6])
def test_a_column_of_no_labels(tmp_path, labels):
    assert load(write(tmp_path / "a.parquet", {"image": BYTES, "label": labels})).labels is None


def test_other_names_of_the_columns(tmp_path):
    path = write(tmp_path / "a.parquet", {"img": BYTES, "fine": LABELS, "key": list(range(6))})
    split = load(path, columns={"image": "img", "label": "fine", "id": "key"})
    assert split.labels.tolist() == LABELS
    assert split.sample_ids == tuple("012345")
    refuse("expected a column 'image', found the columns img, fine, key", load, path)
    refuse("expected a column 'coarse'", load, path, columns={"image": "img", "label": "coarse"})


@pytest.mark.parametrize("change", ["pixel", "label", "id"])
def test_the_digest_changes_with_what_the_data_are(tmp_path, change):
    def columns(images, labels, ids):
        return {"image": [encoded(one) for one in images], "label": labels, "id": ids}

    images, labels, ids = IMAGES.copy(), list(LABELS), list(range(6))
    before = load(write(tmp_path / "a.parquet", columns(images, labels, ids))).digest
    again = load(write(tmp_path / "b.parquet", columns(images, labels, ids), row_group_size=5))
    assert again.digest == before
    if change == "pixel":
        images[3, 1, 1, 0] ^= 1
    elif change == "label":
        labels[0] = 1
    else:
        ids[0] = 9
    assert load(write(tmp_path / "c.parquet", columns(images, labels, ids))).digest != before


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"image": LABELS}, "expected encoded images.*found int64"),
        ({"image": [b"no image", *BYTES[1:]]}, "row 0: expected a readable image.*found other content"),
        ({"image": [*BYTES[:5], None]}, "row 5: expected the bytes"),
        ({"image": [{"bytes": None, "path": "a.png"}]}, "expected encoded images|paths to other files"),
        ({"image": pa.array([], pa.binary())}, "found none"),
        ({"image": BYTES, "label": [*"abcabc"]}, "found string"),
        ({"image": BYTES, "label": [0, 1, None, 0, 1, 2]}, "found 1 nulls"),
        ({"image": BYTES, "label": [0, 1, -1, 0, 1, 2]}, "found 1 negative ones"),
        ({"image": BYTES, "id": ["a", "a", "b", "c", "d", "e"]}, "found 'a' more than once"),
        ({"image": BYTES, "id": ["a", None, "b", "c", "d", "e"]}, "found 1 nulls"),
        ({"image": BYTES, "id": [0.5] * 6}, "found double"),
    ],
)
def test_columns_that_do_not_fit_are_refused(tmp_path, columns, text):
    refuse(text, load, write(tmp_path / "a.parquet", columns))


def test_labels_beyond_the_names_of_the_classes(tmp_path):
    path = write(tmp_path / "a.parquet", {"image": BYTES, "label": LABELS}, names=["ant", "bee"])
    refuse("found class 2 beside the names of 2 classes", load, path)


def test_a_damaged_image_is_refused_when_it_is_asked_for(tmp_path):
    split = load(write(tmp_path / "a.parquet", {"image": [*BYTES[:5], BYTES[5][:40]]}))
    refuse("row 5: expected a readable image", split.batch, [4, 5])


def test_images_of_two_sizes_and_of_two_kinds(tmp_path):
    other = encoded(noise(1, (6, 4))[0])
    split = load(write(tmp_path / "a.parquet", {"image": [*BYTES, other]}))
    refuse("expected 4x5 pixels.*found 4x6.*data.size", split.batch, [6])
    grey = encoded(noise(1, channels=1)[0])
    split = load(write(tmp_path / "b.parquet", {"image": [*BYTES, grey]}))
    refuse("expected 3 channels.*found 1 channels.*data.channels", split.batch, [6])


def test_sixteen_bits_are_scaled_by_their_own_range(tmp_path):
    deep = np.linspace(0, 65535, 20).astype(np.uint16).reshape(5, 4, 1)
    split = load(write(tmp_path / "a.parquet", {"image": [encoded(deep)]}))
    assert split.preprocessing["scale"] == "1/65535"
    assert split.preprocessing["channels"] == 1
    np.testing.assert_allclose(split.batch([0])[0, 0].numpy(), deep[:, :, 0] / 65535, rtol=1e-6)


def test_only_formats_of_still_images_are_decoded(tmp_path):
    split = load(write(tmp_path / "a.parquet", {"image": [*BYTES, encoded(noise(1)[0], "ICO")]}))
    refuse(
        r"row 6: expected .*\(BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP\), found other content", split.batch, [6]
    )


def test_files_that_are_no_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    assert refuse("readable Parquet", load, path).found == "no such file"
    for content in (b"", b"PAR1 no more"):
        path.write_bytes(content)
        assert refuse("readable Parquet", load, path).where == str(path)
    path.unlink()
    path.mkdir()
    refuse("readable Parquet", load, path)
