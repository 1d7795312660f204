"""A user's own data sets: installed packages offer them as entry points.

A package declares, in its ``pyproject.toml``::

    [project.entry-points."stitchpipe.datasets"]
    cells = "my_package.cells:load"

and a sweep names it: ``data = { kind = "entry_point", dataset = "cells", options = { stain = "HE" } }``.

The entry point is a callable ``(split: str, **options)``, asked for ``"train"`` and ``"test"``. It returns

- a map-style ``torch.utils.data.Dataset``. ``data[k]`` is an image, or a pair of an image and its label (a class
  number from 0). An image is a Pillow image, a uint8 array ``(H, W, C)`` or ``(H, W)`` or tensor ``(C, H, W)``
  (scaled by 1/255 here), or a float array or tensor of the same axes, taken as it is. The same ``k`` must always
  give the same image: random augmentation would make every activation another one. Attributes are used where they
  are there: ``sample_ids`` (one string per image; else ``SPLIT/INDEX``), ``class_names`` or ``classes``, and
  ``targets`` or ``labels`` (else labels are collected from all items); or
- a `stitchpipe.data.ImageSplit`, taken as it is but for its names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stitchpipe.data.images import DataError, ImageSplit
from stitchpipe.data.map_style import map_style_samples
from stitchpipe.data.reading import EVERYTHING, Reading, check_samples, split_as_found
from stitchpipe.errors import named_line
from stitchpipe.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.config import EntryPointData

DATA_SETS = Plugins("stitchpipe.datasets", "data.dataset", DataError)
"""The data sets that installed packages register."""


def load(declared: EntryPointData, splits: Sequence[str], reading: Reading) -> dict[str, ImageSplit]:
    """Return the declared splits, see `load_entry_point`."""
    return load_entry_point(
        declared.dataset, name=declared.label, splits=splits, options=declared.options, reading=reading
    )


def load_entry_point(
    dataset: str,
    *,
    name: str | None = None,
    splits: Sequence[str] = ("train", "test"),
    options: Mapping[str, Any] | None = None,
    reading: Reading = EVERYTHING,
) -> dict[str, ImageSplit]:
    """Return splits of a data set that an installed package registers in the group ``stitchpipe.datasets``.

    Parameters
    ----------
    dataset
        Name of the entry point; what it must return is said in this module's docstring.
    options
        Handed to it beside the split's name.

    Raises
    ------
    DataError
        No package registers the name (the nearest ones are named), it cannot be imported or called, or what it
        returns is no data set of images.

    Notes
    -----
    Decodes every image once for the digest, and once more for labels that no attribute holds.
    """
    make = DATA_SETS.load(dataset)
    loaded = {}
    for split in splits:
        where = f"data set '{dataset}', split '{split}'"
        try:
            data = make(split, **(options or {}))
        except Exception as error:
            raise DataError(
                where=where,
                expected="a data set from the entry point",
                found=named_line(error),
                remedy="Correct data.options or the package.",
            ) from error
        if isinstance(data, ImageSplit):
            loaded[split] = _renamed(data, name or dataset, split, where, reading)
        else:
            samples = map_style_samples(data, split, where)
            loaded[split] = split_as_found(samples, dataset=name or dataset, name=split, reading=reading)
    return loaded


def _renamed(data: ImageSplit, dataset: str, split: str, where: str, reading: Reading) -> ImageSplit:
    """Return a ready split under the names of the sweep; refuse settings that could not reach its pixels."""
    if reading != Reading(seed=reading.seed):
        raise DataError(
            where=where,
            expected="no limit, size, mean, std or channels: the entry point returns a ready ImageSplit",
            found="at least one of them",
            remedy="Remove them, or let the entry point return a map-style data set.",
        )
    check_samples(data.sample_ids, data.labels, data.class_names, where)
    return replace(data, dataset=dataset, name=split)
