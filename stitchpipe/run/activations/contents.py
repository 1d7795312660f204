"""What comparisons and stitches work on: layers on both splits, stored or live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from stitchpipe.rows import layer_grid
from stitchpipe.run.keys import Side
from storage import Address, Representation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from stitchpipe.rows import Grid
    from stitchpipe.run.names import LayerName


class Contents(Protocol):
    """What comparisons must know of a layer on a split, beside its values; a representation tells it, for one."""

    @property
    def address(self) -> Address:
        """Its name."""

    @property
    def fingerprint(self) -> str:
        """Digest of the identity of its dump."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What makes its values what they are."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What it was computed with."""

    @property
    def chunk_rows(self) -> int:
        """Samples that are read as one."""

    @property
    def digest(self) -> str:
        """Digest of its content."""

    @property
    def sample_digest(self) -> str:
        """Digest of the sample ids in stored order."""

    @property
    def row_groups(self) -> tuple[tuple[int, int], ...]:
        """``(start, stop)`` of each."""

    @property
    def group_bounds(self) -> tuple[tuple[int, int], ...] | None:
        """``(start, stop)`` of what samples belong to; None where each is on its own."""

    @property
    def group_digest(self) -> str | None:
        """Digest of the groups in stored order; None where there are none."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_samples, …)``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As stored, or as it would be."""


Known = TypeVar("Known", bound=Contents, covariant=True)  # noqa: PLC0105  (every End is one of Contents too)


@dataclass(frozen=True, slots=True)
class End(Generic[Known]):
    """A layer on both splits; maps are fitted on `train` and scored on `test`."""

    name: LayerName
    train: Known
    test: Known

    @property
    def grid(self) -> Grid:
        """Return the grid of the layer's positions."""
        return layer_grid(self.test.shape[1:], self.test.identity.get("image_size"))

    @property
    def side(self) -> Side:
        """What keys know of it."""
        return Side(str(self.name), self.train, self.test)


StoredEnd: TypeAlias = End[Representation]
Ends: TypeAlias = "Mapping[LayerName, End[Contents]]"
