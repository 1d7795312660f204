"""Images in folders: what is read, in which order, and what is refused."""

from __future__ import annotations

import shutil
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from stitchpipe.data import DataError, Reading, load_image_folder


def write(path, *, size=(6, 5), seed=0, mode="RGB"):
    """Write an image of noise, `size` = (width, height), and return its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode=mode).save(path)
    return pixels


@pytest.fixture
def root(tmp_path):
    """Return a folder of two splits, three classes, and four and two images of each."""
    for split, count in (("train", 4), ("test", 2)):
        for number, name in enumerate(("ant", "bee", "cow")):
            for image in range(count):
                write(tmp_path / split / name / f"{image:02d}.png", seed=100 * number + 10 * image + count)
    return tmp_path


def load(root, **options):
    return load_image_folder(root, name="zoo", reading=Reading(**options))


def test_images_ids_labels_and_classes(root):
    pixels = write(root / "test" / "bee" / "01.png", seed=77)
    splits = load(root)
    test = splits["test"]
    assert (len(splits["train"]), len(test)) == (12, 6)
    assert test.sample_ids == tuple(f"test/{name}/0{k}.png" for name in ("ant", "bee", "cow") for k in (0, 1))
    assert test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert test.class_names == ("ant", "bee", "cow")
    batch = test.batch([3, 0])
    assert batch.dtype == torch.float32
    assert batch.shape == (2, 3, 5, 6)
    np.testing.assert_allclose(batch[0].numpy(), pixels.transpose(2, 0, 1) / 255, rtol=1e-6)
    assert torch.equal(batch[1], test.batch([0])[0])


def test_normalisation_is_per_channel_and_recorded(root):
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    plain, split = load(root)["test"], load(root, mean=mean, std=std)["test"]
    expected = (plain.batch([2]).double() - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(
        3, 1, 1
    )
    torch.testing.assert_close(split.batch([2]).double(), expected, rtol=1e-6, atol=1e-6)
    assert split.preprocessing == {
        "scale": "1/255",
        "size": None,
        "mean": [0.1, 0.2, 0.3],
        "std": [0.5, 1.0, 2.0],
    }
    assert split.digest == plain.digest


def test_resizing(root):
    write(root / "test" / "ant" / "00.png", size=(20, 9))
    batch = load(root, size=4)["test"].batch(range(6))
    assert batch.shape == (6, 3, 4, 4)
    with Image.open(root / "test" / "ant" / "00.png") as image:
        expected = np.asarray(image.resize((4, 4), Image.Resampling.BILINEAR)) / 255
    np.testing.assert_allclose(batch[0].permute(1, 2, 0).numpy(), expected, rtol=1e-6)


def test_grey_images_become_rgb(root):
    pixels = write(root / "test" / "ant" / "00.png", mode="L")
    batch = load(root)["test"].batch([0])
    np.testing.assert_allclose(batch[0].numpy(), np.broadcast_to(pixels, (3, 5, 6)) / 255, rtol=1e-6)


RAMP = np.linspace(0, 65535, 30).astype(np.uint16).reshape(5, 6)
"""Grey values of sixteen bits, from black to white."""

DEEP = {
    "png": ("PNG", "I;16", RAMP, "1/65535"),
    "tif": ("TIFF", "I;16", RAMP, "1/65535"),
    "tiff": ("TIFF", "I;16B", RAMP.astype(">u2"), "1/65535"),
    "pgm": ("PPM", "I", RAMP.astype(np.int32), "1/65535"),
    "TIF": ("TIFF", "I", RAMP.astype(np.int32), "1/65535"),
    "TIFF": ("TIFF", "F", (RAMP / 65535).astype(np.float32), "none"),
}


def write_deep(path, kind, mode, numbers):
    image = Image.frombytes(mode, numbers.shape[::-1], numbers.tobytes())
    image.save(path, kind)
    with Image.open(path) as written:
        assert written.mode == mode


def only(root, suffix, images):
    """Let each class of both splits have the same images, which `images` writes, and no others."""
    for split in ("train", "test"):
        for name in ("ant", "bee", "cow"):
            for old in (root / split / name).iterdir():
                old.unlink()
            for number, write_one in enumerate(images):
                write_one(root / split / name / f"{number}.{suffix}")


@pytest.mark.parametrize("suffix", DEEP)
def test_more_than_eight_bits_are_grey_values_from_0_to_1(root, suffix):
    kind, mode, numbers, scale = DEEP[suffix]
    only(root, suffix, [lambda path: write_deep(path, kind, mode, numbers)])
    test = load(root)["test"]
    assert test.preprocessing == {"scale": scale, "size": None, "mean": None, "std": None}
    batch = test.batch([0, 2]).numpy()
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[1], np.broadcast_to(RAMP / 65535, (3, 5, 6)), rtol=1e-6)
    small = load(root, size=3)["test"].batch([0])[0, 0].numpy()
    plane = Image.fromarray((RAMP / 65535).astype(np.float32))
    expected = np.asarray(plane.resize((3, 3), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(small, expected, atol=0.6 / 65535)


def test_images_of_eight_and_of_sixteen_bits_do_not_mix(root):
    deep = root / "test" / "cow" / "01.png"
    write_deep(deep, "PNG", "I;16", RAMP)
    error = refuse("expected 3 channels of uint8.*found 3 channels of uint16.*same depth", root)
    assert error.where == str(deep)
    write_deep(root / "test" / "ant" / "00.png", "PNG", "I;16", RAMP)
    assert load(root)["test"].preprocessing["scale"] == "1/65535"
    assert load(root)["train"].preprocessing["scale"] == "1/255"
    refuse("ant/01.png: expected 3 channels of uint16.*found 3 channels of uint8", root)


@pytest.mark.parametrize("wrong", [-1, 65536, 2**30])
def test_whole_numbers_beyond_sixteen_bits_have_no_scale(root, wrong):
    numbers = RAMP.astype(np.int32)
    numbers[2, 3] = wrong
    only(root, "tif", [lambda path: write_deep(path, "TIFF", "I", numbers)])
    refuse(f"expected whole numbers of 16 bits.*{wrong}", root)


def test_an_image_that_is_not_finite_is_refused(root):
    numbers = (RAMP / 65535).astype(np.float32)
    numbers[0, 0] = np.nan
    only(root, "tif", [lambda path: write_deep(path, "TIFF", "F", numbers)])
    refuse("0.tif: expected finite values", root)


def test_a_format_that_is_read_may_have_the_name_of_another(root):
    pixels = write(root / "test" / "ant" / "00.bmp")
    (root / "test" / "ant" / "00.bmp").replace(root / "test" / "ant" / "00.png")
    np.testing.assert_array_equal(
        load(root)["test"].batch([0])[0].numpy(), pixels.transpose(2, 0, 1) / np.float32(255)
    )


@pytest.mark.parametrize("kind", ["EPS", "ICO", "TGA", "SGI", "JPEG2000"])
def test_other_formats_are_refused_under_any_name(root, kind):
    path = root / "test" / "bee" / "01.png"
    Image.new("RGB", (6, 5)).save(path, kind)
    error = refuse(
        r"expected a readable image in a format that is read \(BMP, GIF, JPEG, .*found other content", root
    )
    assert error.where == str(path)


def test_a_small_file_that_claims_a_huge_image_is_refused_before_it_is_decoded(root):
    for side in (9_460, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
        path = root / "test" / "bee" / "01.png"
        path.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + b"".join(
                struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
                for name, body in chunks
            )
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            assert refuse("9460x9460|exceeds limit", root).where == str(path)


def test_a_tiff_of_several_pages_is_not_one_image(root):
    page = Image.new("L", (6, 5))
    path = root / "test" / "bee" / "02.tif"
    page.save(path, save_all=True, append_images=[page, page])
    assert refuse("expected one image, found a TIFF of 3 pages", root).where == str(path)


def test_a_limit_is_spread_over_the_classes_and_fixed_by_the_seed(root):
    limited = load(root, limit=7)["train"]
    assert sorted(np.bincount(limited.labels).tolist()) == [2, 2, 3]
    assert limited.sample_ids == load(root, limit=7)["train"].sample_ids
    assert set(limited.sample_ids) <= set(load(root)["train"].sample_ids)
    choices = {load(root, limit=7, seed=seed)["train"].sample_ids for seed in range(6)}
    assert len(choices) > 1
    assert load(root, limit=100)["train"].digest == load(root)["train"].digest
    assert len(load(root, limit=1)["train"]) == 1


@pytest.mark.parametrize("change", ["pixel", "label", "name", "swap"])
def test_the_digest_changes_with_what_the_data_are(root, change):
    before = load(root)["test"].digest
    first, second = root / "test" / "ant" / "00.png", root / "test" / "bee" / "00.png"
    if change == "pixel":
        with Image.open(first) as image:
            image.load()
            red, green, blue = image.getpixel((0, 0))
            image.putpixel((0, 0), (red ^ 1, green, blue))
            image.save(first)
    elif change == "label":
        first.rename(root / "test" / "bee" / "99.png")
    elif change == "name":
        first.rename(first.with_name("09.png"))
    else:
        shutil.move(first, root / "kept")
        shutil.move(second, first)
        shutil.move(root / "kept", second)
    assert load(root)["test"].digest != before


def test_hidden_and_foreign_files_are_passed_over(root):
    before = load(root)["test"]
    (root / "test" / ".cache").mkdir()
    (root / "test" / "ant" / "._00.png").write_bytes(b"resource fork")
    (root / "test" / "ant" / "notes.txt").write_text("no image")
    (root / "test" / "ant" / "folder.png").mkdir()
    (root / "test" / "list.csv").write_text("a,b")
    after = load(root)["test"]
    assert (after.sample_ids, after.digest, after.class_names) == (
        before.sample_ids,
        before.digest,
        before.class_names,
    )


def refuse(text, root, **options):
    def everything():
        split = load(root, **options)["test"]
        return split.batch(range(len(split)))

    with pytest.raises(DataError, match=text) as refused:
        everything()
    assert "\n" not in str(refused.value)
    return refused.value


def test_a_missing_folder(tmp_path):
    error = refuse("found no such folder", tmp_path / "absent")
    assert error.where == str(tmp_path / "absent" / "train")


def test_a_missing_split(root):
    shutil.rmtree(root / "test")
    assert refuse("no such folder", root).where == str(root / "test")


def test_a_folder_without_classes(root):
    shutil.rmtree(root / "test")
    (root / "test").mkdir()
    refuse("no class folders", root)


def test_an_empty_class(root):
    shutil.rmtree(root / "test" / "bee")
    (root / "test" / "bee").mkdir()
    refuse("no images in bee", root)


def test_splits_of_other_classes(root):
    (root / "test" / "cow").rename(root / "test" / "dog")
    refuse("expected the classes of train, found differences in cow, dog", root)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "half"])
def test_a_file_that_is_no_image(root, content):
    path = root / "test" / "bee" / "01.png"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content == "half" else content)
    assert refuse("expected a readable image", root).where == str(path)


def test_images_of_several_sizes_need_a_size_also_across_batches(root):
    write(root / "test" / "cow" / "01.png", size=(7, 5))
    error = refuse("expected 6x5 pixels.*found 7x5.*data.size", root)
    assert error.where == str(root / "test" / "cow" / "01.png")
    split = load(root)["test"]
    with pytest.raises(DataError, match="found 7x5"):
        split.batch([5])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mean": (0.1, 0.2)}, r"data\.mean: expected one value, or one per channel \(3\), found 2"),
        ({"std": (1.0,) * 4}, r"data\.std: .*found 4 values"),
        ({"std": (1.0, 0.0, 1.0)}, r"data\.std: expected positive"),
        ({"std": (float("nan"),)}, r"data\.std: expected positive"),
    ],
)
def test_normalisation_that_does_not_fit_is_refused_before_any_image_is_read(root, options, text):
    (root / "test" / "ant" / "00.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=text):
        load(root, **options)
