"""Images as people see them: upright, over white, the first frame; how many of a split were changed, or are copies."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stitchpipe.config import ArraysData, FlatFolderData, FolderData
from stitchpipe.data import Reading, load_image_folder, load_splits
from stitchpipe.data.image_traits import PLAIN, traits_of

ORIENTATION = 0x0112
WHITE = 255


def noise(seed, shape=(5, 6, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image, suffix, **options):
    held = io.BytesIO()
    image.save(held, format=suffix, **options)
    return held.getvalue()


def folder(tmp_path, files):
    """Return a folder whose both splits have one class of these files, and a plain image before them."""
    for split in ("train", "test"):
        where = tmp_path / split / "class"
        where.mkdir(parents=True)
        Image.fromarray(noise(len(split))).save(where / "00.png")
        for name, content in files.items():
            (where / name).write_bytes(content)
    return tmp_path


def load(root, **options):
    return load_image_folder(root, name="seen", reading=Reading(**options))["test"]


def pixels(split, position):
    return np.rint(split.batch([position])[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)


MEANT = {
    1: lambda array: array,
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: array[::-1].swapaxes(0, 1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: lambda array: array.swapaxes(0, 1)[::-1],
}
"""What a camera meant by an orientation, case by case (Exif 2.32, 4.6.4)."""


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path, orientation, suffix):
    array, exif = noise(1, (6, 6, 3)), Image.Exif()
    exif[ORIENTATION] = orientation
    lossless = {"lossless": True} if suffix == "webp" else {}
    content = encoded(Image.fromarray(array), suffix, exif=exif, **lossless)
    root = folder(tmp_path, {f"01.{suffix}": content})
    split = load(root, size=6)
    np.testing.assert_array_equal(pixels(split, 1), MEANT[orientation](array))
    is_changed = orientation != 1
    assert split.preprocessing.get("orientation") == ("exif" if is_changed else None)
    assert split.remarks == (("1 turned upright, as their EXIF orientation says",) if is_changed else ())


def test_a_jpeg_taken_sideways_has_its_width_and_height_exchanged(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = encoded(Image.fromarray(noise(2, (8, 16, 3))), "jpeg", exif=exif)
    assert traits_of(content).is_turned
    root = folder(tmp_path, {})
    for split in ("train", "test"):
        (root / split / "class" / "00.png").unlink()
        (root / split / "class" / "00.jpg").write_bytes(content)
    assert load(root).batch([0]).shape == (1, 3, 16, 8)


def test_transparency_is_laid_over_white_and_hides_what_is_behind(tmp_path):
    hidden = noise(3, (5, 6, 4))
    hidden[..., 3] = 0
    half = noise(4, (5, 6, 4))
    half[..., 3] = 51  # a fifth
    opaque = noise(5, (5, 6, 4))
    opaque[..., 3] = 255
    files = {
        f"0{number}.png": encoded(Image.fromarray(array), "png")
        for number, array in enumerate((hidden, half, opaque), start=1)
    }
    split = load(folder(tmp_path, files))
    assert (pixels(split, 1) == WHITE).all()
    blended = half[..., :3] / 5 + WHITE * 4 / 5
    assert np.abs(pixels(split, 2) - blended).max() <= 1
    np.testing.assert_array_equal(pixels(split, 3), opaque[..., :3])
    assert split.preprocessing["transparency"] == "over white"
    assert split.remarks == ("3 with transparency, laid over white",)


def test_of_an_animation_the_first_frame_counts(tmp_path):
    first, second = (Image.fromarray(noise(seed)).quantize(64) for seed in (6, 7))
    content = encoded(first, "gif", save_all=True, append_images=[second])
    split = load(folder(tmp_path, {"01.gif": content}))
    np.testing.assert_array_equal(pixels(split, 1), np.asarray(first.convert("RGB")))
    assert split.remarks == ("1 with several frames, of which the first counts",)


@pytest.mark.parametrize("suffix", ["JPEG", "WEBP", "TIFF"])
def test_damaged_metadata_is_counted_and_no_warning_of_a_library_reaches_anybody(tmp_path, suffix):
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010E] = 3, "a description"
    content = encoded(Image.fromarray(noise(3)), suffix, exif=exif)
    # The description's length, in the byte order of the file, becomes one that no file has.
    for order in ("little", "big"):
        tag = (0x010E).to_bytes(2, order) + (2).to_bytes(2, order)
        content = content.replace(tag + (14).to_bytes(4, order), tag + (1 << 28).to_bytes(4, order))
    root = folder(tmp_path, {"a.png": content})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = load(root)
        pixels(split, 1)
    assert "1 with damaged metadata (EXIF, TIFF tags), of which what can be read counts" in split.remarks


def test_plain_images_have_no_traits_and_add_nothing_to_the_record(tmp_path):
    image = Image.fromarray(noise(8))
    assert {traits_of(encoded(image, kind)) for kind in ("png", "jpeg", "bmp", "webp", "ppm")} == {PLAIN}
    assert traits_of(b"Exif, but no image") == PLAIN
    split = load(folder(tmp_path, {"01.png": encoded(image, "png")}))
    assert split.remarks == ()
    assert not {"orientation", "transparency"} & set(split.preprocessing)


def test_what_is_passed_over_is_counted(tmp_path):
    root = folder(tmp_path, {"notes.txt": b"", "LICENSE": b"", ".hidden": b""})
    deeper = root / "test" / "class" / "deeper"
    deeper.mkdir()
    Image.fromarray(noise(9)).save(deeper / "01.png")
    split = load(root)
    assert len(split) == 1
    (remark,) = split.remarks
    head, _, kinds = remark.removesuffix(")").partition(" (")
    assert head == "3 files passed over"
    assert set(kinds.split(", ")) == {"1 .txt", "1 no suffix", "1 images elsewhere"}


def test_a_flat_folder_counts_what_it_passes_over_too(tmp_path):
    for number in range(8):
        Image.fromarray(noise(number)).save(tmp_path / f"{number}.png")
    (tmp_path / "list.csv").write_text("")
    splits = load_splits(FlatFolderData(kind="flat_folder", root=tmp_path))
    assert all(split.remarks == ("1 files passed over (1 .csv)",) for split in splits.values())


def test_copies_are_counted_within_a_split_and_across(tmp_path):
    content = encoded(Image.fromarray(noise(10)), "png")
    root = folder(tmp_path, {"01.png": content, "02.png": content, "03.png": content})
    (root / "train" / "class" / "02.png").unlink()
    (root / "train" / "class" / "03.png").unlink()
    splits = load_splits(FolderData(kind="image_folder", root=root))
    assert splits["train"].remarks == ()
    assert splits["test"].remarks == (
        "2 exact copies of others in the split",
        "3 of the same bytes as images of 'train'",
    )


def test_encoded_images_in_parquet_are_turned_too(tmp_path):
    array, exif = noise(11, (6, 6, 3)), Image.Exif()
    exif[ORIENTATION] = 3
    content = encoded(Image.fromarray(array), "png", exif=exif)
    pq.write_table(pa.table({"image": pa.array([content], pa.binary())}), tmp_path / "test.parquet")
    declared = ArraysData(kind="arrays", files={"test": tmp_path / "test.parquet"})
    split = load_splits(declared, ("test",))["test"]
    np.testing.assert_array_equal(pixels(split, 0), MEANT[3](array))
    assert split.preprocessing["orientation"] == "exif"


def test_copies_among_arrays_are_counted(tmp_path):
    images = np.stack([noise(12), noise(13), noise(12)])
    np.savez(tmp_path / "test.npz", images=images)
    declared = ArraysData(kind="arrays", files={"test": tmp_path / "test.npz"})
    assert load_splits(declared, ("test",))["test"].remarks == ("1 exact copies of others in the split",)
