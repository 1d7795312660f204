"""What is handed over becomes arrays of samples: finite, floating-point, and row i of each the same sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import array_api_compat as api
import numpy as np
import numpy.typing as npt

from stitchpipe.algebra import RowsError, stored_spacing
from stitchpipe.in_memory.sample_labels import paired_by_label

if TYPE_CHECKING:
    from collections.abc import Mapping

Samples: TypeAlias = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class InMemory:
    """Named representations of the same samples in the same order.

    Attributes
    ----------
    samples
        Name → ``[n, …]``.
    spacing
        Name → spacing at 1 of the type in which it was handed over: how exactly its rows are known.
    """

    samples: Mapping[str, Samples]
    spacing: Mapping[str, float]

    @classmethod
    def of(cls, arrays: Mapping[str, Any], where: str) -> Self:
        """Take arrays of NumPy, torch, pandas, xarray, or anything that `numpy.asarray` takes.

        Raises
        ------
        RowsError
            Labels of samples differ, an array is not of finite numbers, or arrays have different numbers of samples.
        """
        paired = paired_by_label(arrays)
        # The spacing is that of the type that was handed over; the conversion below would hide it.
        spacing = {name: stored_spacing(array) for name, array in paired.items()}
        samples = {name: _samples(name, array) for name, array in paired.items()}
        _demand_one_count(samples, where)
        return cls(samples, spacing)


def _samples(name: str, array: Any) -> Samples:
    """Return an array of samples as floating-point NumPy, refusing what is not finite numbers."""
    if api.is_torch_array(array):
        array = array.detach().cpu()
        # NumPy has no bfloat16, and float32 holds every value of the half types.
        array = array.float() if array.element_size() < 4 else array
    block = np.asarray(array)
    numbers = block.ndim >= 2 and block.size > 0 and block.dtype.kind in "fiub"
    if not (numbers and bool(np.isfinite(block).all())):
        raise RowsError(
            where=f"representation {name!r}",
            expected="finite real numbers, first axis = samples, at least one more axis",
            found=f"{block.dtype} of shape {block.shape}"
            + (" with NaN or infinite entries" if numbers else ""),
            remedy="Find the layer and sample that produced them; a single feature is (n, 1).",
        )
    return block if block.dtype.kind == "f" else block.astype(np.float64)


def _demand_one_count(samples: Mapping[str, Samples], where: str) -> None:
    counts = {name: len(block) for name, block in samples.items()}
    if len(set(counts.values())) != 1:
        raise RowsError(
            where=where,
            expected="at least one array, all of the same samples in the same order",
            found=f"sample counts {counts}",
            remedy="Pass representations of the same inputs.",
        )
