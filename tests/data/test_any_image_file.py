"""Any bytes under an image's name: pixels that a slow oracle agrees with, or one line that names the file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stitchpipe.data import DataError, load_image_folder

KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".ppm": "PPM",
}
MODES = {
    ".png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    ".jpg": ("L", "RGB", "CMYK"),
    ".gif": ("1", "L", "P", "RGB"),
    ".tif": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"),
    ".webp": ("L", "RGB", "RGBA"),
    ".bmp": ("1", "L", "P", "RGB"),
    ".ppm": ("1", "L", "RGB"),
}
SIZE = (7, 5)
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
}
TURNS[8] = "ROTATE_90"


def image_of(mode, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (SIZE[1], SIZE[0], 4), dtype=np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode)


def encoded(suffix, mode, seed, orientation=1, *, is_see_through=False):
    held, options = io.BytesIO(), {}
    if suffix in {".png", ".jpg", ".tif", ".webp"}:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    if is_see_through and suffix in {".png", ".gif"} and mode == "P":
        options["transparency"] = seed % 200
    image_of(mode, seed).save(held, KINDS[suffix], **options)
    return held.getvalue()


def oracle(content):
    """Return what people see of a file, ``(H, W, 3)`` float: each pixel by itself, with Pillow's own decoder alone."""
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()  # which turns TIFFs by itself, and then forgets how they lay
        turn = TURNS.get(opened.getexif().get(0x0112, 1))
        is_see_through = opened.mode in {"LA", "RGBA", "PA"} or "transparency" in opened.info
        decoded = opened.convert("RGBA") if is_see_through else opened.convert("RGB")
    if turn is not None:
        decoded = decoded.transpose(Image.Transpose[turn])
    seen = np.empty((decoded.height, decoded.width, 3))
    for y in range(decoded.height):
        for x in range(decoded.width):
            red, green, blue, *alpha = decoded.getpixel((x, y))
            share = alpha[0] / 255 if alpha else 1.0
            seen[y, x] = [channel * share + 255 * (1 - share) for channel in (red, green, blue)]
    return seen


def pixels(folder, suffix, content):
    """Return the pixels of an image in a folder of its own, `(H, W, 3)` from 0 to 255; `DataError` where refused."""
    for split in ("train", "test"):
        (folder / split / "class").mkdir(parents=True)
        (folder / split / "class" / f"picture{suffix}").write_bytes(content)
    split = load_image_folder(folder, name="any")["test"]
    return split.batch([0])[0].permute(1, 2, 0).numpy() * 255


def demand_one_line(error, suffix):
    text = str(error)
    assert f"picture{suffix}" in text
    assert "\n" not in text
    assert error.remedy


@given(
    suffix=st.sampled_from(sorted(KINDS)),
    which=st.integers(0, 6),
    seed=st.integers(0, 10**6),
    orientation=st.integers(0, 9),
    is_see_through=st.booleans(),
)
def test_whole_images_are_what_people_see(tmp_path_factory, suffix, which, seed, orientation, is_see_through):
    mode = MODES[suffix][which % len(MODES[suffix])]
    content = encoded(suffix, mode, seed, orientation, is_see_through=is_see_through)
    found = pixels(tmp_path_factory.mktemp("whole"), suffix, content)
    assert found.shape == oracle(content).shape
    assert np.abs(found - oracle(content)).max() <= 1.01


@given(
    suffix=st.sampled_from(sorted(KINDS)),
    name=st.sampled_from(sorted(KINDS)),
    seed=st.integers(0, 10**6),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=4),
)
def test_cut_and_flipped_files_are_read_or_refused_in_one_line(
    tmp_path_factory, suffix, name, seed, cut, flips
):
    content = bytearray(encoded(suffix, MODES[suffix][-1], seed))
    for at, bit in flips:
        content[int(at * len(content))] ^= 1 << bit
    content = bytes(content[: max(1, round(cut * len(content)))])
    try:
        found = pixels(tmp_path_factory.mktemp("damaged"), name, content)
    except DataError as error:
        demand_one_line(error, name)
    else:
        assert found.ndim == 3
        assert np.isfinite(found).all()


@given(suffix=st.sampled_from(sorted(KINDS)), content=st.binary(max_size=400))
def test_any_bytes_are_refused_in_one_line(tmp_path_factory, suffix, content):
    try:
        pixels(tmp_path_factory.mktemp("bytes"), suffix, content)
    except DataError as error:
        demand_one_line(error, suffix)


def png(width, height):
    """Return a PNG of a few bytes that says it has this size."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


DECLARED = {
    "png of no width": (".png", png(0, 5)),
    "png of no height": (".png", png(5, 0)),
    "huge png": (".png", png(60_000, 60_000)),
    "png beyond all": (".png", png(2**31 - 1, 2**31 - 1)),
    "huge gif": (".gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + b"\0" * 20),
    "huge ppm": (".ppm", b"P6 200000 200000 255\n" + b"\0" * 30),
    "negative ppm": (".ppm", b"P6 -5 5 255\n" + b"\0" * 30),
    "ppm of nothing": (".ppm", b"P6 0 0 255\n"),
    "huge bmp": (
        ".bmp",
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 10**6, 10**6, 1, 24, 0, 0, 0, 0, 0, 0),
    ),
}


@pytest.mark.parametrize("name", DECLARED)
def test_sizes_are_not_taken_at_their_word(tmp_path, name):
    suffix, content = DECLARED[name]
    with pytest.raises(DataError) as refused:
        pixels(tmp_path, suffix, content)
    demand_one_line(refused.value, suffix)
