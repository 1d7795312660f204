"""One layer's rows as they lie in a file, and what was read from a file."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.ingest.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

LAYOUTS = "(n, C, H, W), (n, T, D) or (n, D)"


@dataclass(frozen=True, eq=False)
class Column:
    """The rows of one layer, on the disk.

    Attributes
    ----------
    name, where
        Of the layer; file or batches it comes from.
    rows
        ``(n, …)``, memory-mapped; bfloat16 as uint16.
    bfloat16
        Whether `rows` are the bits of bfloat16.
    channels_last
        Whether samples of three dimensions are ``(H, W, C)``.
    """

    name: str
    where: str
    rows: npt.NDArray[Any]
    bfloat16: bool = False
    channels_last: bool = False

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.where}, layer '{self.name}'"

    @property
    def n_rows(self) -> int:
        """Number of samples."""
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample, channels first."""
        shape = self.rows.shape[1:]
        return (shape[2], *shape[:2]) if self._moves else shape

    @property
    def own_dtype(self) -> str:
        """In which the rows are stored unless somebody says: float16 as it is, anything else as float32."""
        return "float16" if self.rows.dtype.kind == "f" and self.rows.dtype.itemsize == 2 else "float32"

    @property
    def row_bytes(self) -> int:
        """Bytes of one sample in the file."""
        return max(1, prod(self.rows.shape[1:])) * self.rows.dtype.itemsize

    @property
    def _moves(self) -> bool:
        return self.channels_last and self.rows.ndim == 4

    def read(self, wanted: slice | npt.NDArray[np.int64]) -> npt.NDArray[np.floating]:
        """Return rows ``(k, *shape)`` in the order asked for, channels first, as native floating point.

        Positions are read in the order of the file, then put into the order asked for: twice their memory.
        """
        if isinstance(wanted, slice):
            block = np.asarray(self.rows[wanted])
        else:
            order = np.argsort(wanted)
            taken = self.rows[wanted[order]]
            block = np.empty_like(taken)
            block[order] = taken
        if self.bfloat16:
            block = (block.astype(np.uint32) << 16).view(np.float32)
        block = block.astype(block.dtype.newbyteorder("="), copy=False)
        return np.moveaxis(block, -1, 1) if self._moves else block

    def checked(self, *, channels_last: bool) -> Column:
        """Return this column as a layer.

        Raises
        ------
        IngestError
            It has no samples, another layout, or numbers that are not floating point.
        """
        kind, size = self.rows.dtype.kind, self.rows.dtype.itemsize
        if not self.bfloat16 and (kind != "f" or size not in (2, 4, 8)):
            raise IngestError(
                where=self.label,
                expected="float16, bfloat16, float32 or float64",
                found=f"{self.rows.dtype} of shape {self.rows.shape}",
                remedy="Convert it to float32 with a scale that you know, or leave the array out: --only NAME.",
            )
        if self.rows.ndim not in (2, 3, 4) or 0 in self.rows.shape:
            raise IngestError(
                where=self.label,
                expected=f"samples along the first axis: {LAYOUTS}",
                found=f"shape {self.rows.shape}",
                remedy="Reshape it, or leave the array out: --only NAME.",
            )
        return replace(self, channels_last=channels_last)


@dataclass(frozen=True)
class Choice:
    """What is taken of a file: layers by glob (none: all), and the names that hold ids or labels."""

    layers: tuple[str, ...] = ()
    vectors: frozenset[str] = frozenset()

    def takes(self, name: str) -> bool:
        """Return whether `name` is taken as a layer."""
        wanted = not self.layers or any(fnmatch.fnmatchcase(name, glob) for glob in self.layers)
        return wanted and name not in self.vectors


@dataclass(frozen=True, eq=False)
class Contents:
    """What was read from a file: layers that were chosen, and vectors that may be ids or labels."""

    where: str
    columns: Mapping[str, Column]
    vectors: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
