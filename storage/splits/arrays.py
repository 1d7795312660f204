"""The arrays beside a split's record: ``sample_id``, ``label``, ``original_index``, ``row_group``, ``group``.

They repeat the record for readers of plain Zarr and can always be made again from it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from storage.format import commits_array, encode_vector, group_metadata, split_key
from storage.place import COMMITS, encode_name, read_confirmed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.place import Place
    from storage.splits.split import Split


@lru_cache(maxsize=8)
def sample_coordinates(split: Split) -> Mapping[str, Mapping[str, bytes]]:
    """Return the arrays that label rows, ``sample_id`` and where known ``label``, as files."""
    ids = encode_vector(np.array(split.sample_ids, dtype=object), {})
    made: dict[str, Mapping[str, bytes]] = {"sample_id": ids}
    if split.labels is not None:
        made["label"] = encode_vector(split.labels, {"class_names": list(split.class_names)})
    return made


def arrays_beside(place: Place, split: Split) -> dict[str, bytes]:
    """Return key and bytes of every file beside a split's record; all follows from the split.

    The group of the data set serves several splits: it is created here, and returned as it lies on the disk.
    """
    key = split_key(split.dataset, split.name)
    above = f"{encode_name(split.dataset)}/zarr.json"
    home = group_metadata({"dataset": split.dataset})
    place.create(above, home)
    about = {
        "dataset": split.dataset,
        "split": split.name,
        "sample_digest": split.sample_digest,
        "class_names": list(split.class_names),
        **({} if split.groups is None else {"group_digest": split.group_digest}),
    }
    row_group = np.repeat(
        np.arange(len(split.row_groups)), [stop - start for start, stop in split.row_groups]
    )
    made: dict[str, Mapping[str, bytes]] = {
        **sample_coordinates(split),
        "original_index": encode_vector(split.original_index, {}),
        "row_group": encode_vector(row_group.astype(np.int64), {}),
        COMMITS: commits_array(),
    }
    if split.groups is not None:
        made["group"] = encode_vector(np.array(split.groups, dtype=object), {})
    beside = {
        f"{key}/{array}/{name}": data for array, content in made.items() for name, data in content.items()
    }
    return {
        above: read_confirmed(place, above, wanted=home),
        f"{key}/zarr.json": group_metadata(about),
        **beside,
    }
