"""Images of this Python process: data sets and loaders that were handed to `sp.run`, found by their digests.

The declaration holds the digest of each split, over ids, labels and pixels, so that the same name never stands for
other images. No other process can read them again, and whoever tries is told so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.reading import demand_splits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import ObjectData
    from stitchpipe.data.reading import Reading

_HELD: dict[str, ImageSplit] = {}
"""By digest."""


def hold(images: ImageSplit) -> str:
    """Keep a split for this process, and return the digest under which it is found."""
    _HELD[images.digest] = images
    return images.digest


def load(declared: ObjectData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:  # noqa: ARG001  (what is done to pixels was done before)
    """Return the declared splits.

    Raises
    ------
    DataError
        A split is not among them, or this process holds no such images.
    """
    digests = {str(split): digest for split, digest in declared.digests.items()}
    demand_splits(digests, splits, "data.digests")
    loaded = {}
    for split in splits:
        images = _HELD.get(digests[split])
        if images is None:
            raise DataError(
                where=f"data set '{declared.label}', split '{split}'",
                expected="images that this process was given by `sp.run`",
                found=f"none with the digest {digests[split][:12]}: they were an object of another Python process",
                remedy="Call `sp.run` again with the data, or declare images that can be read: a folder, arrays.",
            )
        loaded[split] = replace(images, dataset=declared.label, name=split)
    return loaded
