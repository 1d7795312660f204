"""The second step: a model runs once over a split, and the outputs of its chosen layers go to the store."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stitchpipe import capture
from stitchpipe.config import (
    ConfigError,
    ControlModel,
    IngestedModel,
    NetworkModel,
    RandomCodes,
    StoredData,
    Sweep,
    TrainedModel,
    declared_toml,
)
from stitchpipe.data import parse_split_name
from stitchpipe.location import record_location
from stitchpipe.models import checkpoint, load_weights
from stitchpipe.sweep.augmented_splits import images_of
from stitchpipe.sweep.controls import dump_codes, dump_permuted, permuted_model
from stitchpipe.sweep.declared import augment_fields, data_fields, dump_fields, model_fields
from stitchpipe.sweep.folder import Folder, key_of, read_record, write_record
from stitchpipe.sweep.ingested import ingested_representation
from stitchpipe.sweep.networks import device_of, fix_threads, layer_table, network
from stitchpipe.sweep.progress import Report, silent
from stitchpipe.sweep.room import demand_room, max_rows, settings
from stitchpipe.sweep.training import declaration
from stitchpipe.wholefile import write_whole
from storage import Address, open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from stitchpipe.config import Model
    from stitchpipe.data import ImageSplit
    from storage import Representation, Split, Store


def dump(
    sweep: Sweep,
    folder: Folder,
    model: str,
    split: str,
    *,
    part: tuple[int, int] = (0, 1),
    report: Report = silent,
) -> dict[str, Any]:
    """Write the chosen layers of `model` on `split` to the store and seal them; return the dump's record.

    `split` may be an augmented one, as ``train+1``, and the model a control, which is written by one process.

    A sealed dump is skipped, an interrupted one goes on at the row groups that are missing. `part` is ``(k, n)`` where
    n processes or machines share the dump: each writes its range of row groups, and whoever is last seals. `report`
    counts row groups.

    Raises
    ------
    ConfigError
        The model has no weights yet, or the sweep keeps no activations.
    stitchpipe.capture.CaptureError, storage.StoreError
        The model is not deterministic in eval mode; values are not finite or do not fit the dtype.
    """
    demand_kept(sweep)
    declared = sweep.model(model)
    demand_room(sweep, folder)
    record_location(folder.root, folder.store_of(sweep))
    store = open_store(folder.store_of(sweep), mode="a")
    write_whole(folder.declaration, declared_toml(sweep).encode())
    names = [info.name for info in layer_table(sweep, folder)[model]]
    if isinstance(declared, ControlModel):
        return _dump_control(sweep, folder, store, declared, split, names)
    runnable = sweep.network(model)
    net = load_network(sweep, folder, runnable)
    fix_threads(sweep)
    images = images_of(sweep, split)
    add_split(sweep, store, images)
    done = capture.dump(
        net,
        images,
        store,
        model=model,
        architecture=architecture_of(runnable),
        layers=names,
        settings=settings(sweep),
        device=device_of(sweep),
        part=part,
        on_row_group=report,
    )
    record = {
        "declaration": dump_declaration(sweep, declared, split),
        "fingerprint": done.fingerprint,
        "layers": names,
        **{key: value for key, value in asdict(done).items() if key not in {"fingerprint", "layers"}},
    }
    if done.sealed:
        write_record(folder.dump_record(model, split), record)
    return record


def _dump_control(
    sweep: Sweep, folder: Folder, store: Store, declared: ControlModel, split: str, names: Sequence[str]
) -> dict[str, Any]:
    """Write a control's layers on a split; return its record."""
    control = declared.control
    if isinstance(sweep.data, StoredData):
        where = store.split(sweep.data.label, split)
    else:
        where = add_split(sweep, store, images_of(sweep, split))
    if isinstance(control, RandomCodes):
        done = dump_codes(store, where, declared, control, sweep.dump.dtype)
    else:
        of = sweep.model(control.of)
        sources = {layer: stored(sweep, folder, store, of, layer, split) for layer in names}
        done = dump_permuted(store, where, declared, control, sources)
    record = {
        "declaration": dump_declaration(sweep, declared, split),
        "fingerprint": done.fingerprint,
        "layers": list(names),
        "n_samples": where.n_samples,
    }
    write_record(folder.dump_record(declared.name, split), record)
    return record


def stored(
    sweep: Sweep, folder: Folder, store: Store, declared: Model, layer: str, split: str
) -> Representation:
    """Open one layer of a model on a split: as the sweep's dump recorded it, or as it was ingested."""
    if isinstance(declared, IngestedModel):
        return ingested_representation(sweep, store, declared, layer, split)
    address = Address(sweep.data.label, split, declared.name, layer)
    return store.representation(address, fingerprint=fingerprint(sweep, folder, declared.name, split))


def demand_kept(sweep: Sweep) -> None:
    """Refuse to dump where the sweep keeps no activations.

    Raises
    ------
    ConfigError
        Says so.
    """
    if not sweep.dump.keep:
        raise ConfigError(
            where=f"sweep '{sweep.name}'",
            expected="dump.keep = true, for activations to be written",
            found="dump.keep = false",
            remedy="Compare at once: that runs the networks. Or keep what they give.",
        )


def parse_part(text: str) -> tuple[int, int]:
    """Return ``"2/4"``, the second of four parts, as ``(1, 4)``.

    Raises
    ------
    ConfigError
        It is not K/N with K from 1 to N.
    """
    first, _, last = text.partition("/")
    if first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last):
        return int(first) - 1, int(last)
    raise ConfigError(
        where="--part",
        expected="K/N, the K-th of N parts, K from 1 to N",
        found=f"'{text}'",
        remedy="Start N processes, with --part 1/N to N/N.",
    )


def add_split(sweep: Sweep, store: Store, images: ImageSplit) -> Split:
    """Add the images' split, or find it there; a store that has it keeps the row groups it was cut into."""
    plan: dict[str, Any] = {"row_groups": sweep.dump.row_groups, "max_rows": max_rows(sweep)}
    if (images.dataset, images.name) in store.splits():
        plan = dict(store.split(images.dataset, images.name).provenance.get("plan", plan))
    return store.add_split(
        images.dataset,
        images.name,
        images.sample_ids,
        labels=images.labels,
        class_names=images.class_names,
        provenance={"data_digest": images.digest, "preprocessing": images.preprocessing},
        **plan,
    )


def load_network(sweep: Sweep, folder: Folder, declared: NetworkModel) -> nn.Module:
    """Return the declared network with its weights; `ConfigError` where they have not been trained yet."""
    net = network(sweep, declared)
    if (path := checkpoint(declared)) is not None:
        load_weights(net, path)
    if not isinstance(declared, TrainedModel):
        return net
    path = folder.weights(declared.name, declaration(sweep, declared))
    if not path.exists():
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected=f"weights at {path}",
            found="no such file",
            remedy="Run the whole sweep with `stitchpipe run`, which trains it first.",
        )
    load_weights(net, path)
    return net


def fingerprint(sweep: Sweep, folder: Folder, model: str, split: str) -> str:
    """Return the fingerprint of the sealed dump that the sweep, as it stands, speaks of.

    It comes from the dump's record, so that later steps need neither weights nor forward passes of a source.
    """
    record = read_record(folder.dump_record(model, split))
    declared = sweep.model(model)
    if record is None or record["declaration"] != dump_declaration(sweep, declared, split):
        raise ConfigError(
            where=f"model '{model}', split '{split}'",
            expected="activations dumped as this sweep declares them",
            found="none" if record is None else "a dump of another declaration",
            remedy="Run `stitchpipe dump` with this sweep first.",
        )
    return str(record["fingerprint"])


def dump_declaration(sweep: Sweep, declared: Model, split: str) -> str:
    """Return the key of what the sweep file says about a dump; augmentation counts where there is some."""
    of, augment = permuted_model(declared), sweep.dump.augment
    return key_of(
        model_fields(declared),
        dump_fields(sweep.dump),
        data_fields(sweep.data),
        augment_fields(augment) if augment is not None and parse_split_name(split)[1] else None,
        dump_declaration(sweep, sweep.model(of), split) if of is not None else None,
    )


def architecture_of(declared: NetworkModel) -> str:
    """Return a network's architecture with its options, as it stands in identities."""
    return f"{declared.architecture}({', '.join(f'{k}={v}' for k, v in sorted(declared.options.items()))})"
