"""What files of images bring along that changes their pixels, and how many of a split do: it is counted, and said."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageOps

from stitchpipe.data.image_files import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MARKS: Final = (b"Exif", b"eXIf", b"EXIF", b"tRNS", b"acTL", b"VP8X", b"VP8L", b"GIF8")
"""Where none of these stands in a file, it is upright, opaque and one picture: no decoder need look at it."""
_PNG_ALPHA: Final = (4, 6)
"""Colour types of PNG that have an alpha channel; the type is the 26th byte of the file."""
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True, slots=True)
class ImageTraits:
    """What an image's file says beside its pixels.

    Attributes
    ----------
    is_turned
        It is to be turned or mirrored before it is looked at, as photographs taken sideways are (EXIF).
    is_transparent
        It has transparency, behind which colours lie that nobody sees.
    is_animated
        It has several frames.
    is_odd
        Its metadata is damaged, in parts or all of it: Pillow warns of it, and goes by what it can read.
    """

    is_turned: bool = False
    is_transparent: bool = False
    is_animated: bool = False
    is_odd: bool = False


PLAIN: Final = ImageTraits()


def traits_of(encoded: bytes) -> ImageTraits:
    """Return what an encoded image brings along; nothing for content that cannot be read, which is refused later.

    Notes
    -----
    Decodes no pixels, and looks at the head of a file only where something like a mark stands in it.
    """
    is_suspect = (
        any(mark in encoded for mark in _MARKS)
        or encoded.startswith(_TIFF)
        or (encoded.startswith(b"\x89PNG") and encoded[25:26] and encoded[25] in _PNG_ALPHA)
    )
    if not is_suspect:
        return PLAIN
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with Image.open(io.BytesIO(encoded), formats=tuple(FORMATS)) as image:
                traits = ImageTraits(
                    is_turned=_is_turned(image),
                    is_transparent=image.has_transparency_data,
                    is_animated=image.format != "TIFF" and getattr(image, "n_frames", 1) > 1,
                )
    except Exception:  # noqa: BLE001 - a damaged file makes its decoder raise anything
        return PLAIN
    return replace(traits, is_odd=any(warning.category is UserWarning for warning in told))


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(_ORIENTATION, 1) not in {0, 1}


def as_seen(image: Image.Image) -> Image.Image:
    """Return an image as people see it: upright, and over white where it is transparent.

    An image without such traits is returned as it is. Of an animation it is the first frame.
    """
    upright = ImageOps.exif_transpose(image) if _is_turned(image) else image
    if not upright.has_transparency_data:
        return upright
    ground = Image.new("RGBA", upright.size, "white")
    ground.alpha_composite(upright.convert("RGBA"))
    return ground.convert("L" if upright.mode in {"LA", "La"} else "RGB")


@dataclass
class Tally:
    """Counts, while the bytes of a split's images pass by, how many are changed and which are copies of others.

    Attributes
    ----------
    contents
        A digest of each image's bytes, in order.
    """

    is_encoded: bool
    counts: Counter[str] = field(default_factory=Counter)
    contents: list[bytes] = field(default_factory=list)

    def watch(self, images: Iterable[bytes]) -> Iterator[bytes]:
        """Hand on the bytes of one image after the other."""
        for content in images:
            self.contents.append(blake2b(content, digest_size=16).digest())
            if self.is_encoded:
                traits = traits_of(content)
                self.counts["turned"] += traits.is_turned
                self.counts["transparent"] += traits.is_transparent
                self.counts["animated"] += traits.is_animated
                self.counts["odd"] += traits.is_odd
            yield content

    def record(self) -> dict[str, Any]:
        """Return what belongs to the record of preprocessing; nothing where no image is changed."""
        turned = {"orientation": "exif"} if self.counts["turned"] else {}
        return turned | ({"transparency": "over white"} if self.counts["transparent"] else {})

    def remarks(self) -> tuple[str, ...]:
        """Return what is to be said of the split."""
        copies = len(self.contents) - len(set(self.contents))
        said = (
            (self.counts["turned"], "turned upright, as their EXIF orientation says"),
            (self.counts["transparent"], "with transparency, laid over white"),
            (self.counts["animated"], "with several frames, of which the first counts"),
            (self.counts["odd"], "with damaged metadata (EXIF, TIFF tags), of which what can be read counts"),
            (copies, "exact copies of others in the split"),
        )
        return tuple(f"{count} {what}" for count, what in said if count)
