"""Activations that are never stored: known by what makes their values, and computed when they are compared.

The records lie beside those of dumps, so that a report needs neither weights nor forward passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.algebra.samples import MOST_IMAGES
from stitchpipe.config import ConfigError
from stitchpipe.engine import LayerShape, indices_of_images
from stitchpipe.registry import index_measure
from stitchpipe.run.activations.contents import Contents, End, Ends
from stitchpipe.run.activations.stored import dump_declaration
from stitchpipe.run.extent import ITEM_BYTES
from stitchpipe.run.file_names import live_record
from stitchpipe.run.names import TEST, TRAIN, LayerName
from storage import Address, DumpIdentity, digest_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stitchpipe.config import Compare
    from stitchpipe.run.extent import Extent
    from stitchpipe.run.opened import OpenedSweep
    from storage import Split


@dataclass(frozen=True, slots=True)
class LiveLayer:
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
    group_bounds: tuple[tuple[int, int], ...] | None
    group_digest: str | None
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


class LiveActivations:
    """The layers of a run that keeps no activations: networks run once for each comparison, for all views at once."""

    all_views_at_once = True

    def __init__(self, run: OpenedSweep, extent: Extent) -> None:
        self._run, self._extent = run, extent

    def dumps(self) -> tuple[tuple[str, str], ...]:
        """Return model and split of every dump: there is none."""
        return ()

    def demand_room(self) -> None:
        """Refuse dumps for which there is no room: nothing is written."""

    def demand_dumps(self) -> None:
        """Refuse to dump.

        Raises
        ------
        ConfigError
            Says so.
        """
        raise ConfigError(
            where=f"sweep '{self._run.sweep.name}'",
            expected="dump.keep = true, for activations to be written",
            found="dump.keep = false",
            remedy="Compare at once: that runs the networks. Or keep what they give.",
        )

    def demand_no_reading(self) -> None:
        """Refuse indices that read activations.

        Sums over one pass, pooled images and minibatches of them are formed while the networks run. Grams of flattened
        images need the images side by side, and agreement needs the logits.

        Raises
        ------
        ConfigError
            Names the view and the indices.
        """
        sweep = self._run.sweep
        for table in sweep.compare:
            unfit = self._reading(table)
            if unfit:
                null = table.view == "flatten" and sweep.certainty.permutations
                rest = (
                    " these indices, or their null (certainty.permutations = 0)."
                    if null
                    else " these indices."
                )
                raise ConfigError(
                    where=f"sweep '{sweep.name}', view '{table.view}'",
                    expected="indices that are formed while the networks run, because dump.keep = false",
                    found=f"{', '.join(unfit)}, which {'need' if len(unfit) > 1 else 'needs'} stored activations",
                    remedy=f"Set dump.keep = true, or leave out{rest}",
                )

    def ends(self, names: Iterable[LayerName]) -> Ends:
        """Return the named layers on both splits, as they are on record.

        Raises
        ------
        ConfigError, storage.StoreError
            Nothing was compared yet as the sweep declares it.
        """
        return {name: End(name, self.layer(name, TRAIN), self.layer(name, TEST)) for name in names}

    def layer(self, name: LayerName, split: str) -> Contents:
        """Return one layer on one split; errors as `ends`."""
        run = self._run
        record = run.place.files.record(live_record(name.model, split))
        declared = dump_declaration(run.sweep, run.sweep.model(name.model), split)
        if record is None or record["declaration"] != declared:
            raise ConfigError(
                where=f"model '{name.model}', split '{split}'",
                expected="a network that was compared as this sweep declares it",
                found="none" if record is None else "one of another declaration",
                remedy="Run `stitchpipe compare` with this sweep first.",
            )
        samples = run.store.split(run.sweep.data.label, split)
        return LiveLayer(
            address=Address(run.sweep.data.label, split, name.model, name.layer),
            fingerprint=record["fingerprint"],
            identity=record["identity"],
            provenance=record["provenance"],
            sample_digest=samples.sample_digest,
            row_groups=samples.row_groups,
            group_bounds=samples.group_bounds,
            group_digest=samples.group_digest,
            shape=(samples.n_samples, *self._extent.stored_shapes[name.model][name.layer]),
            dtype=np.dtype(run.sweep.dump.dtype),
        )

    def note(
        self, model: str, split: Split, *, identity: Mapping[str, Any], provenance: Mapping[str, Any]
    ) -> None:
        """Record what makes a model's activations on a split, in place of a dump."""
        run = self._run
        dump = DumpIdentity(
            split.dataset, split.name, model, plain(dict(identity), where=model), split.sample_digest
        )
        record = {
            "declaration": dump_declaration(run.sweep, run.sweep.model(model), split.name),
            "fingerprint": dump.fingerprint,
            "identity": dump.identity,
            "provenance": dict(provenance),
        }
        run.place.files.put_record(live_record(model, split.name), record)

    def _reading(self, table: Compare) -> list[str]:
        """Return the indices of a table that cannot be formed from one pass over blocks of samples."""
        run = self._run
        logits = {name for name in table.indices if index_measure(name).computed_from == "logits"}
        # Other views are formed block by block while the networks run; of those only the logits would have
        # to be read.
        if table.view != "flatten":
            return sorted(logits)
        item = ITEM_BYTES[run.sweep.dump.dtype]
        shapes = [
            LayerShape(model, layer, (), shape, item)
            for model, layers in self._extent.stored_shapes.items()
            for layer, shape in layers.items()
        ]
        images = min(MOST_IMAGES, len(run.data.splits[TEST]))
        grams = set(indices_of_images(table.view, table.indices, shapes, images))
        # The null of permuted images needs all images of a layer side by side, whatever the index.
        null = {
            name for name in table.indices if run.sweep.certainty.permutations and index_measure(name).null
        }
        return sorted(logits | grams | null)
