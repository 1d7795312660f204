"""Where the values of layers come from: a store that keeps them, or networks that are run for every comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from stitchpipe.run.activations.contents import Contents, End, Ends, StoredEnd
from stitchpipe.run.activations.live import LiveActivations, LiveLayer
from stitchpipe.run.activations.stored import StoredActivations, dump_declaration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.run.names import LayerName

__all__ = [
    "Activations",
    "Contents",
    "End",
    "Ends",
    "LiveActivations",
    "LiveLayer",
    "StoredActivations",
    "StoredEnd",
    "dump_declaration",
]


class Activations(Protocol):
    """What steps ask of activations, whoever has them."""

    @property
    def all_views_at_once(self) -> bool:
        """Whether a comparison gives all declared views, because the networks run for it."""

    def dumps(self) -> tuple[tuple[str, str], ...]:
        """Return model and split of every dump to make."""

    def demand_room(self) -> None:
        """Refuse dumps for which there is no room."""

    def demand_dumps(self) -> None:
        """Refuse to dump where nothing is kept."""

    def demand_no_reading(self) -> None:
        """Refuse indices that cannot be had."""

    def ends(self, names: Iterable[LayerName]) -> Ends:
        """Return the named layers on both splits."""

    def layer(self, name: LayerName, split: str) -> Contents:
        """Return one layer on one split."""
