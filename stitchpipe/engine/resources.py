"""What a task reaches beside the plan: the store it reads, the folder that it leaves things in, and a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError
from storage import WORK, Address

if TYPE_CHECKING:
    from stitchpipe.algebra.backends import DeviceName
    from stitchpipe.engine.planning.shapes import LayerShape, SplitShape
    from storage import Representation, Store, Summaries


class NotKeptError(ExplainedError, RuntimeError):
    """Summaries that were formed while networks ran are gone, and no store has the activations."""


@dataclass(frozen=True)
class TaskResources:
    """What a task reaches beside the plan. Picklable.

    Attributes
    ----------
    store
        The activations; None where they were never kept, and whoever ran the networks left what is needed of them.
    summaries
        The folder where leaves, images and sums over batches are left.
    device
        Where the plan's array library computes; part of no key.
    """

    store: Store | None
    summaries: Summaries
    device: DeviceName = "auto"

    def open(self, layer: LayerShape, split: SplitShape, fingerprint: str) -> Representation:
        """Open a layer on a split, sealed under a fingerprint.

        Raises
        ------
        storage.StoreError
            It is missing.
        NotKeptError
            There is no store.
        """
        address = Address(split.dataset, split.name, layer.model, layer.layer)
        if self.store is None:
            raise NotKeptError(
                where=str(address),
                expected="the sums that were left while the networks ran",
                found="none, and activations that were not kept",
                remedy="Compare again: the networks run over what is missing.",
            )
        return self.store.representation(address, fingerprint=fingerprint)

    def has_work(self, key: str) -> bool:
        """Return whether work in progress is kept under a key, which reads all of it; a torn file is not."""
        return self.summaries.is_whole(WORK, key)
