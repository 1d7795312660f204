"""The images of a run, where its data are at hand: held against what its activations were made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stitchpipe.asking.declared import declared_sweep
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.run.data import RunData
from stitchpipe.run.names import SPLITS, TEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from stitchpipe.data import ImageSplit
    from stitchpipe.run.place import RunPlace
    from storage import Store


class RunImages:
    """The images that a run's networks saw.

    Nothing is read before the first image is asked for; then every image once, for the digest that is held against the
    one that the dump left.

    Raises
    ------
    WorkspaceError
        The run keeps no sweep.
    """

    def __init__(self, place: RunPlace, store: Store) -> None:
        self._sweep, self._store = declared_sweep(place), store
        self._data = RunData(self._sweep)
        self._checked: dict[str, ImageSplit] = {}

    def batch(self, samples: Sequence[str] | None = None, split: str = TEST) -> Tensor:
        """Return images as networks saw them, preprocessed: float32 ``(n, C, H, W)``.

        Parameters
        ----------
        samples
            Ids, in the order in which images are wanted; default: all, in the store's order, as activations are.

        Raises
        ------
        stitchpipe.data.DataError
            The data are not at hand.
        WorkspaceError
            They are others than those that the run was made of.
        storage.SampleIdError
            There is no such sample; the nearest id is named.

        Notes
        -----
        Memory: all the images that are asked for.
        """
        images = self._split(split)
        stored = self._store.split(self._sweep.data.label, split)
        rows = stored.rows(sample_ids=samples)
        at = {sample_id: position for position, sample_id in enumerate(images.sample_ids)}
        return images.batch([at[stored.sample_ids[row]] for row in rows.tolist()])

    def image(self, sample_id: str, split: str | None = None) -> Image.Image:
        """Return one image to look at, in the size that networks saw; errors as `batch`.

        Parameters
        ----------
        split
            Default: the one that has the sample.
        """
        if split is None:
            there = [name for name in SPLITS if sample_id in self._split(name).sample_ids]
            if len(there) > 1:
                raise WorkspaceError(
                    where=f"sample '{sample_id}'",
                    expected="a split, because several have it",
                    found="none named",
                    remedy=f"Say which: split='{there[0]}' or split='{there[1]}'.",
                )
            split = there[0] if there else TEST
        preprocessing = self._split(split).preprocessing
        return picture_of(self.batch([sample_id], split)[0], preprocessing)

    def _split(self, name: str) -> ImageSplit:
        """Return a split's images, found to be those that its activations were made of."""
        if name not in self._checked:
            if name not in SPLITS:
                raise WorkspaceError.unknown(f"images of {self._sweep.name}", "a split", name, SPLITS)
            images = self._data.splits[name]
            stored = self._store.split(self._sweep.data.label, name).provenance.get("data_digest")
            if stored is not None and stored != images.digest:
                raise WorkspaceError(
                    where=f"images of '{self._sweep.data.label}', split '{name}'",
                    expected=f"those that the run was made of, with the digest {str(stored)[:12]}",
                    found=f"others, with {images.digest[:12]}",
                    remedy="Put the data back as they were, or run the sweep again.",
                )
            self._checked[name] = images
        return self._checked[name]


def picture_of(image: Tensor, preprocessing: Any) -> Image.Image:
    """Return a preprocessed image ``(C, H, W)`` as a picture: normalisation undone, values cut to what can be shown.

    Images of another number of channels than 1 or 3 are shown by their first channel, stretched; so are values outside
    of 0 to 1 that no normalisation explains.
    """
    values = image.numpy().astype(np.float64)
    mean, std = (preprocessing.get(name) for name in ("mean", "std"))
    if std is not None:
        values = values * np.reshape(std, (-1, 1, 1))
    if mean is not None:
        values = values + np.reshape(mean, (-1, 1, 1))
    if values.shape[0] not in (1, 3):
        values = values[:1]
    if values.min() < -0.01 or values.max() > 1.01:
        values = (values - values.min()) / ((values.max() - values.min()) or 1.0)
    pixels = np.rint(255 * values.clip(0, 1)).astype(np.uint8)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
