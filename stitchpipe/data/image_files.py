"""Files of still images: which formats are read, under which names, and how large an image may be."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from PIL import Image, UnidentifiedImageError

from stitchpipe.data.images import DataError
from stitchpipe.errors import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS: Final = {
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "JPEG": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
"""Pillow's name of a format → the suffixes of its files.

No other decoder of Pillow is ever asked: each is code that works on what a stranger wrote, and one of them starts
another program (EPS).
"""

SUFFIXES: Final = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)

MAX_PIXELS: Final = 89_478_485
"""Of one image: a quarter of a gibibyte at three bytes each, where Pillow begins to warn.

A file of a few kilobytes can claim far more.
"""


@contextmanager
def opened_image(file: Path | IO[bytes], where: str, remedy: str) -> Iterator[Image.Image]:
    """Open one still image whatever its name says; its pixels are decoded in the body.

    What Pillow warns of names no file, and would be told once for a whole data set: files with damaged metadata are
    counted instead (`stitchpipe.data.image_traits`), and sizes are refused below.

    Parameters
    ----------
    where, remedy
        What an error names, and what it advises.

    Raises
    ------
    DataError
        The content is in none of `FORMATS`, is damaged, has more than `MAX_PIXELS` pixels (found out before any is
        decoded), or is a TIFF of several pages.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Image.open(file, formats=tuple(FORMATS)) as image:
                _demand_one_of_sensible_size(image, where, remedy)
                yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(
            where=where,
            expected=f"a readable image in a format that is read ({', '.join(FORMATS)})",
            found="other content",
            remedy=remedy,
        ) from error
    except Exception as error:  # a damaged file makes its decoder raise anything
        raise DataError(
            where=where, expected="a readable image", found=first_line(error), remedy=remedy
        ) from error


def file_bytes(path: Path) -> bytes:
    """Return a file's bytes; `DataError` if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            where=str(path),
            expected="a readable file",
            found=error.strerror or str(error),
            remedy="Replace or remove the file.",
        ) from None


def _demand_one_of_sensible_size(image: Image.Image, where: str, remedy: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            where=where,
            expected=f"an image of at most {MAX_PIXELS:,} pixels",
            found=f"{width}x{height}",
            remedy=remedy,
        )
    pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    if pages > 1:
        raise DataError(
            where=where,
            expected="one image",
            found=f"a TIFF of {pages} pages",
            remedy="Save each page as a file.",
        )
