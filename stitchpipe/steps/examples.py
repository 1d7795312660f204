"""Example images for the page of a run: a few test images, and which of them each layer has nearest to some."""

from __future__ import annotations

import io
from math import prod
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from stitchpipe.asking.images import picture_of
from stitchpipe.data import DataError, load_splits
from stitchpipe.errors import ExplainedError
from stitchpipe.report import Examples
from stitchpipe.rows import to_rows
from stitchpipe.run.names import TEST
from storage import Representation, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from stitchpipe.run import Run
    from stitchpipe.run.activations import Ends
    from stitchpipe.run.activations.contents import StoredEnd
    from storage import Split

IMAGES: Final = 64
"""Among which the nearest are looked for."""
ASKED, NEAREST = 3, 4
MOST_READ_BYTES: Final = 256 * 2**20
"""Of activations, over all layers: what a page may cost beside its numbers."""
MOST_SAMPLES: Final = 20_000
"""Of a split whose images are read once, to be held against those that the dump saw."""
SIDE: Final = 40
"""Pixels that a picture has at most on a side."""


def examples(run: Run, ends: Ends) -> Examples | None:
    """Return examples where images and activations are at hand and small; None where they are not.

    Notes
    -----
    Nearest is by the cosine of pooled activations, after their mean over these images is taken away. Reads `IMAGES`
    samples of each layer.
    """
    stored = {
        name: cast("StoredEnd", end) for name, end in ends.items() if isinstance(end.test, Representation)
    }
    tests = [end.test for end in stored.values()]
    n_bytes = sum(IMAGES * prod(test.shape[1:]) * test.dtype.itemsize for test in tests)
    if not tests or n_bytes > MOST_READ_BYTES:
        return None
    split = tests[0].split
    if not ASKED + NEAREST <= split.n_samples <= MOST_SAMPLES:
        return None
    rows = np.arange(min(IMAGES, split.n_samples))
    try:
        return Examples(
            pictures=_pictures(run, split, rows.tolist()),
            names=_names(split, rows.tolist()),
            asked=ASKED,
            nearest={(name.model, name.layer): _nearest(end, rows) for name, end in stored.items()},
        )
    # What is not at hand is no fault of a page, and what is damaged `stitchpipe verify` finds.
    except (ExplainedError, StoreError, OSError):
        return None


def _nearest(end: StoredEnd, rows: npt.NDArray[np.int64]) -> list[list[int]]:
    """Return for each image that is asked about the nearest others in a layer."""
    tokens = end.grid if len(end.grid) == 3 else None
    features = to_rows(end.test.read_rows(rows), "pooled", tokens=tokens)
    centred = features - features.mean(axis=0)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(float).tiny)
    alike = unit[:ASKED] @ unit.T
    np.fill_diagonal(alike, -np.inf)
    return [np.argsort(-row, kind="stable")[:NEAREST].tolist() for row in alike]


def _pictures(run: Run, split: Split, rows: Sequence[int]) -> list[bytes]:
    """Return images as PNG; refuse others than those of the dump."""
    declared: Any = run.sweep.data
    if getattr(declared, "download", False):
        declared = declared.model_copy(update={"download": False})  # a page fetches nothing
    images = load_splits(declared, (TEST,))[TEST]
    if split.provenance.get("data_digest") not in (None, images.digest):
        raise DataError(
            where="examples of the page",
            expected="the images that the run was made of",
            found="others",
            remedy="Put the data back as they were.",
        )
    at = {sample_id: place for place, sample_id in enumerate(images.sample_ids)}
    batch = images.batch([at[split.sample_ids[row]] for row in rows])
    return [_png(image, images.preprocessing) for image in batch]


def _png(image: Any, preprocessing: Any) -> bytes:
    picture = picture_of(image, preprocessing)
    picture.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def _names(split: Split, rows: Sequence[int]) -> list[str]:
    """Return what each image is, for those who point at it."""
    names = [split.sample_ids[row] for row in rows]
    if split.labels is None or not split.class_names:
        return names
    return [f"{split.class_names[split.labels[row]]}, {name}" for row, name in zip(rows, names, strict=True)]
