"""What the engine asks of an array library. NumPy and torch answer it; rows and sums stay in the library's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    import numpy.typing as npt

BackendName: TypeAlias = Literal["numpy", "torch"]
DeviceName: TypeAlias = Literal["auto", "cpu", "cuda"]


class Backend(Protocol):
    """Products of rows, added to float64 sums in place.

    Rows are float64 or float32, ``[p, K]`` or ``[p, n, *grid]``; sums are float64. Arrays are the library's own, on
    its device: slicing, ``reshape``, ``swapaxes``, ``+=``, ``-`` and assignment to a slice work on all of them.

    Attributes
    ----------
    name
        Part of the key of what was computed: libraries differ in the last bits.
    cached
        How many numbers are worked on at a time where several steps follow each other.
    """

    name: str
    cached: int

    def one_thread(self) -> AbstractContextManager[object]:
        """Run what is inside in one thread of the CPU; what was set before comes back."""

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Return uninitialised rows of ``float64`` or ``float32``."""

    def zeros(self, shape: tuple[int, ...]) -> Any:
        """Return float64 sums of nothing."""

    def load(self, stored: npt.NDArray[Any]) -> Any:
        """Return values as this library's array, in the type they have."""

    def fetch(self, values: Any) -> npt.NDArray[np.float64]:
        """Return sums as a NumPy array."""

    def join(self, parts: Sequence[Any]) -> Any:
        """Return rows of several operands, one behind the other along the first axis."""

    def fill(self, into: Any, values: Any, shift: Any) -> None:
        """Set ``into [p, n, …]`` to ``values − shift``, both converted to its dtype first; values are finite.

        `shift` is of features ``[p]``, or of features and positions ``[p, …]``.
        """

    def resize(self, rows: Any, maps: tuple[Any, ...], into: Any) -> None:
        """Set ``into [p, n, …]`` to ``rows [p, n, …]``, their positions mapped.

        By ``[H', H]`` and ``[W', W]`` from ``(H, W)`` to ``(H', W')``, or by one dense ``[positions', positions]``.
        """

    def sum_samples(self, rows: Any) -> Any:
        """Return ``rows [p, n, …]`` summed over samples in float64."""

    def mean_positions(self, rows: Any) -> Any:
        """Return ``rows [p, n, …]`` averaged over positions in float64, ``[p, n]``."""

    def squared_norms(self, rows: Any) -> Any:
        """Return Σₚ rows² of ``rows [p, n]`` in float64, ``[n]``."""

    def add_product(self, total: Any, x: Any, y: Any) -> None:
        """Add ``x [p, K] · yᵀ [K, q]`` to ``total [p, q]``; float32 rows are multiplied in full float32."""

    def add_symmetric(self, total: Any, x: Any) -> None:
        """Add ``x [p, K] · xᵀ`` to the upper triangle of ``total [p, p]``; below it nothing is promised."""

    def mirror(self, total: Any) -> None:
        """Copy the upper triangle of ``total [p, p]`` to the lower one."""
