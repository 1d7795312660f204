"""A representation as a lazy `xarray.DataArray`: labelled, and checked when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from storage.layout import dimension_names

if TYPE_CHECKING:
    import numpy.typing as npt

    from storage.read import Representation


class _RepresentationArray(BackendArray):
    """What xarray indexes lazily: orthogonal selections become row reads."""

    def __init__(self, source: Representation) -> None:
        self.source = source
        self.shape = source.shape
        self.dtype = source.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        """Return an orthogonal selection: the rows first, then each further axis."""
        rows, *rest = key
        single = isinstance(rows, int | np.integer)
        block = self.source.read_rows(np.array([rows]) if single else rows)
        for axis in reversed(range(len(rest))):
            block = block[(slice(None),) * (axis + 1) + (rest[axis],)]
        return block[0] if single else block


def lazy_array(source: Representation) -> xr.DataArray:
    """Return `source` as a lazy array with sample ids and labels as coordinates."""
    split = source.split
    coordinates: dict[str, Any] = {"sample_id": ("sample", np.array(split.sample_ids, dtype=object))}
    if split.labels is not None:
        coordinates["label"] = ("sample", split.labels, {"class_names": list(split.class_names)})
    dimensions = dimension_names(source.record.shape)
    data = indexing.LazilyIndexedArray(_RepresentationArray(source))
    about = {
        "dataset": source.address.dataset,
        "split": source.address.split,
        "model": source.address.model,
        "layer": source.address.layer,
        "fingerprint": source.fingerprint,
    }
    return xr.DataArray(xr.Variable(dimensions, data, about), coords=coordinates, name="activations")
