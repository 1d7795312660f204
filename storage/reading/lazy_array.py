"""A representation as a lazy `xarray.DataArray`: labelled, and checked when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from storage.format import dimension_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from storage.splits import Split


class RowSource(Protocol):
    """What is read lazily: rows of some shape, asked for by number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples, …)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""

    def read_rows(self, rows: slice | npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return some rows, in the order asked for."""


class _LazyRows(BackendArray):
    """What xarray indexes lazily: orthogonal selections become row reads."""

    def __init__(self, source: RowSource) -> None:
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


def lazy_array(source: RowSource, split: Split, about: Mapping[str, str]) -> xr.DataArray:
    """Return `source` as a lazy array with the samples' ids and labels as coordinates, and attributes `about` it."""
    coordinates: dict[str, Any] = {"sample_id": ("sample", np.array(split.sample_ids, dtype=object))}
    if split.labels is not None:
        coordinates["label"] = ("sample", split.labels, {"class_names": list(split.class_names)})
    data = indexing.LazilyIndexedArray(_LazyRows(source))
    variable = xr.Variable(dimension_names(source.shape[1:]), data, dict(about))
    return xr.DataArray(variable, coords=coordinates, name="activations")
