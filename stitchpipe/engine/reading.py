"""Opening a layer that a task reads; where activations were never kept, there is none to open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from storage import Address, Representation, Store


class NotKeptError(ExplainedError, RuntimeError):
    """Summaries that were formed while networks ran are gone, and no store has the activations."""


def open_layer(store: Store | None, address: Address, fingerprint: str) -> Representation:
    """Open a sealed representation.

    Raises
    ------
    storage.StoreError
        It is missing.
    NotKeptError
        There is no store.
    """
    if store is None:
        raise NotKeptError(
            where=str(address),
            expected="the sums that were left while the networks ran",
            found="none, and activations that were not kept",
            remedy="Compare again: the networks run over what is missing.",
        )
    return store.representation(address, fingerprint=fingerprint)
