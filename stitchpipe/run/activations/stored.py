"""Activations that are written to the store, and read from it ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import ConfigError, ControlModel, IngestedModel
from stitchpipe.data import parse_split_name
from stitchpipe.run import keys
from stitchpipe.run.activations.contents import End, StoredEnd
from stitchpipe.run.declared import augment_fields, data_fields, dump_fields, model_fields, permuted_model
from stitchpipe.run.file_names import dump_record
from stitchpipe.run.names import TEST, TRAIN, LayerName
from storage import Address, Representation, check_pairing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stitchpipe.config import Model, NetworkModel, Sweep
    from stitchpipe.run.extent import Extent
    from stitchpipe.run.opened import OpenedSweep


class StoredActivations:
    """The dumps of a run: found by the records that they left, so that no later step needs weights or networks."""

    all_views_at_once = False

    def __init__(self, run: OpenedSweep, extent: Extent) -> None:
        self._run, self._extent = run, extent

    def dumps(self) -> tuple[tuple[str, str], ...]:
        """Return model and split of every dump; controls come last, because they may be made from other models'."""
        sweep, splits = self._run.sweep, self._extent.splits
        # The sort is stable: within either kind the models stay in the order in which they are declared.
        ordered = sorted(splits, key=lambda name: isinstance(sweep.model(name), ControlModel))
        return tuple((model, split) for model in ordered for split in splits[model])

    def demand_room(self) -> None:
        """Refuse dumps for which there is no room; see `Extent.demand_room`."""
        self._extent.demand_room()

    def demand_dumps(self) -> None:
        """Refuse to dump where nothing is kept: here everything is."""

    def demand_no_reading(self) -> None:
        """Refuse indices that read activations: here all can."""

    def ends(self, names: Iterable[LayerName]) -> dict[LayerName, StoredEnd]:
        """Open the named layers on both splits, and check that all hold the same samples in the same order.

        Raises
        ------
        ConfigError
            A model was not dumped as the sweep declares it, or an ingested one's name stands for several contents.
        storage.StoreError
            A representation is missing; samples differ.
        """
        ends = {name: End(name, self.layer(name, TRAIN), self.layer(name, TEST)) for name in names}
        # Pairing is an equality of sample ids, so that holding all layers against the first one is enough.
        first = next(iter(ends.values()))
        for end in ends.values():
            check_pairing(first.train, end.train)
            check_pairing(first.test, end.test)
        return ends

    def layer(self, name: LayerName, split: str) -> Representation:
        """Open one layer on one split: as the sweep's dump recorded it, or as it was ingested."""
        run = self._run
        declared, store = run.sweep.model(name.model), run.store
        if isinstance(declared, IngestedModel):
            return run.ingested.representation(store, declared, name.layer, split)
        address = Address(run.sweep.data.label, split, name.model, name.layer)
        return store.representation(address, fingerprint=self._fingerprint(declared, split))

    def _fingerprint(self, declared: Model, split: str) -> str:
        """Return the fingerprint of the sealed dump that the sweep, as it stands, speaks of."""
        record = self._run.place.files.record(dump_record(declared.name, split))
        if record is None or record["declaration"] != dump_declaration(self._run.sweep, declared, split):
            raise ConfigError(
                where=f"model '{declared.name}', split '{split}'",
                expected="activations dumped as this sweep declares them",
                found="none" if record is None else "a dump of another declaration",
                remedy="Run `stitchpipe dump` with this sweep first.",
            )
        return str(record["fingerprint"])


def dump_declaration(sweep: Sweep, declared: Model | NetworkModel, split: str) -> str:
    """Return the key of what the sweep file says about a dump; augmentation counts where there is some."""
    augment, origin = sweep.dump.augment, permuted_model(declared)
    # The plain split does not depend on how others are augmented, and its key must not change with it.
    is_augmented = augment is not None and parse_split_name(split)[1] is not None
    return keys.dump_key(
        model_fields(declared),
        dump=dump_fields(sweep.dump),
        data=data_fields(sweep.data),
        augment=augment_fields(augment) if augment is not None and is_augmented else None,
        origin=None if origin is None else dump_declaration(sweep, sweep.model(origin), split),
    )
