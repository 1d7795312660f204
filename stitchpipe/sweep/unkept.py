"""Layers whose activations are never stored: known by what makes their values, not by the values.

The records lie beside those of dumps, so that a report needs neither weights nor forward passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.config import ConfigError
from stitchpipe.sweep.dumping import dump_declaration
from stitchpipe.sweep.ends import End, open_ends, open_representation
from stitchpipe.sweep.folder import opened_store, read_record, write_record
from stitchpipe.sweep.networks import TEST, TRAIN
from stitchpipe.sweep.room import stored_shapes
from storage import Address, DumpIdentity, digest_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stitchpipe.config import Sweep
    from stitchpipe.sweep.ends import Contents, Ends
    from stitchpipe.sweep.folder import Folder
    from stitchpipe.sweep.jobs import LayerName
    from storage import Split, Store


@dataclass(frozen=True, slots=True)
class Unkept:
    """A layer on a split as its dump would hold it, had there been one.

    Attributes
    ----------
    fingerprint, identity
        Those of that dump.
    provenance
        Of the run that computed its values last.
    """

    address: Address
    fingerprint: str
    identity: Mapping[str, Any]
    provenance: Mapping[str, Any]
    sample_digest: str
    row_groups: tuple[tuple[int, int], ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def chunk_rows(self) -> int:
        """Samples that are read as one: they are computed as they are asked for."""
        return 1

    @property
    def digest(self) -> str:
        """``identity:`` and SHA-256 over fingerprint, layer, shape and dtype: equal digests, the same computation.

        The fingerprint covers weights, architecture, images, preprocessing, samples and settings of the capture.
        Of stored values the digest is over their bytes: those of two machines may differ, while these are equal.
        """
        parts = [self.fingerprint, self.address.layer, list(self.shape), str(self.dtype)]
        return f"identity:{digest_of(parts)}"


def note_unkept(
    sweep: Sweep,
    folder: Folder,
    model: str,
    split: Split,
    *,
    identity: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """Record what makes a model's activations on a split, in place of a dump."""
    dump = DumpIdentity(
        split.dataset, split.name, model, plain(dict(identity), where=model), split.sample_digest
    )
    record = {
        "declaration": dump_declaration(sweep, sweep.model(model), split.name),
        "fingerprint": dump.fingerprint,
        "identity": dump.identity,
        "provenance": dict(provenance),
    }
    write_record(folder.unkept_record(model, split.name), record)


def contents(sweep: Sweep, folder: Folder, names: Iterable[LayerName]) -> Ends:
    """Return the named layers on both splits: opened in the store, or as recorded where they are not kept.

    Raises
    ------
    ConfigError, storage.StoreError
        See `open_ends`; nothing was compared yet as the sweep declares it.
    """
    if sweep.dump.keep:
        return open_ends(sweep, folder, names)
    store = opened_store(sweep, folder)
    return {
        name: End(name, *(_unkept(sweep, folder, store, name, split) for split in (TRAIN, TEST)))
        for name in names
    }


def content(sweep: Sweep, folder: Folder, store: Store, name: LayerName, split: str) -> Contents:
    """Return one layer on one split; as `contents`."""
    if sweep.dump.keep:
        return open_representation(sweep, folder, store, name, split)
    return _unkept(sweep, folder, store, name, split)


def _unkept(sweep: Sweep, folder: Folder, store: Store, name: LayerName, split: str) -> Unkept:
    record = read_record(folder.unkept_record(name.model, split))
    if record is None or record["declaration"] != dump_declaration(sweep, sweep.model(name.model), split):
        raise ConfigError(
            where=f"model '{name.model}', split '{split}'",
            expected="a network that was compared as this sweep declares it",
            found="none" if record is None else "one of another declaration",
            remedy="Run `stitchpipe compare` with this sweep first.",
        )
    samples = store.split(sweep.data.label, split)
    return Unkept(
        address=Address(sweep.data.label, split, name.model, name.layer),
        fingerprint=record["fingerprint"],
        identity=record["identity"],
        provenance=record["provenance"],
        sample_digest=samples.sample_digest,
        row_groups=samples.row_groups,
        shape=(samples.n_samples, *stored_shapes(sweep)[name.model][name.layer]),
        dtype=np.dtype(sweep.dump.dtype),
    )
