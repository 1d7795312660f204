"""Repairing one dump: its retirements, manifests and what they vouch for; damaged layers are retired."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from storage.commits import (
    RETIRED,
    RetiredLayer,
    all_manifests,
    latest_of,
    manifest_of,
    manifests,
    out_of_sight,
    retire,
    retirement_key,
    retirements,
)
from storage.errors import CorruptError, NotFoundError, StoreError
from storage.format import (
    DumpIdentity,
    attributes_of,
    dump_record_key,
    manifest_key,
    read_cached,
    read_record,
    record_bytes,
)
from storage.maintenance.flags import no_manifest
from storage.maintenance.repairing.sealed_layers import Claim, repair_claim
from storage.maintenance.repairing.unsealed_layer_sets import (
    lost_manifests,
    rebuild_manifest,
    removed_manifests,
    repair_unsealed,
    settle_layers,
)
from storage.place import COMMITS
from storage.problems import Problem, problem_of
from storage.writing import Dump, group_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.maintenance.repairing.mending import Mending
    from storage.place import Place
    from storage.splits import Split


def repair_dump(
    mending: Mending, dump: str, split: Split, on_shard: Callable[[str, int], None] | None
) -> DumpIdentity | None:
    """Repair the dump under the key `dump`; return which it is, or None where nothing says so any more."""
    place = mending.place
    # 1. What everything else is judged by: manifests that are not sound go, and the history of retirements is made
    #    whole again, because the generation of a layer set counts them.
    _take_out_manifests(mending, dump)
    _mend_history(mending, dump)
    # 2. Which dump this is. Without that no chunk's digest can be checked, and nothing more can be done.
    identity = _settle_identity(mending, dump, split)
    if identity is None:
        return None
    # 3. Metadata beside the shards of layers that no reader sees: a set can be sealed again, or resumed, only with it.
    #    A manifest that was lost follows from its markers, if all of them are sound.
    settle_layers(mending, identity, split, _live(place, dump))
    for layers in removed_manifests(place, dump).values():
        mending.problems += [no_manifest(place, dump, layer) for layer in layers]
    for layer_set in lost_manifests(place, dump):
        rebuild_manifest(mending, identity, split, layer_set)
    # 4. Every shard that somebody relies on. A damaged one is in quarantine before its layer is retired: cut between
    #    the two, the next repair finds it missing and comes to the same end.
    kept: dict[str, RetiredLayer] = {}
    for claim in _claims(place, dump):
        for name, bad in repair_claim(mending, identity, split, claim, on_shard).items():
            sound = tuple(group for group in claim.row_groups[name] if group not in bad)
            kept[name] = RetiredLayer(claim.manifest.layer_set, sound)
    if kept:
        retire(place, dump, kept, reason="damaged")
    # 5. A layer that was retired for a file beside its shards alone, which are all sound, is sealed anew at once.
    _seal_what_is_sound(mending, identity, split)
    # 6. Last, what was never sealed, for the writer that will take it up: without the shards that 4 found claimed.
    claimed = {
        claim.manifest.layers[name].shards[group].key
        for claim in _claims(place, dump)
        for name, groups in claim.row_groups.items()
        for group in groups
    }
    repair_unsealed(mending, identity, split, claimed)
    return identity


def _live(place: Place, dump: str) -> set[str]:
    """Return the layers that readers see."""
    return {name for manifest in manifests(place, dump) for name in manifest.layers}


def _take_out_manifests(mending: Mending, dump: str) -> None:
    """Take out every manifest that is damaged or belongs elsewhere."""
    for name in mending.place.directories(f"{dump}/{COMMITS}"):
        try:
            manifest_of(mending.place, dump, name)
        except CorruptError as error:
            mending.take_out(manifest_key(dump, name), problem_of(error, label=dump))


def _mend_history(mending: Mending, dump: str) -> None:
    """Fill the place of retirements that are damaged or missing.

    What they said is not known; but layers that were sealed again since were retired before. Others come into sight
    again, and those whose shards are gone are then found damaged.
    """
    place = mending.place
    sealed = list(all_manifests(place, dump))
    there = [entry.key for entry in place.entries(f"{dump}/{COMMITS}") if f"/{RETIRED}-" in entry.key]
    count = max(
        [*(manifest.generation for manifest in sealed), *(_number(key) + 1 for key in there)], default=0
    )
    for number in range(count):
        key = retirement_key(dump, number)
        problem = Problem(dump, None, place.path(key), "the record of a retirement", "none", "")
        try:
            if read_cached(place, key, kind=RETIRED) is not None:
                continue
        except CorruptError as error:
            problem = problem_of(error, label=dump)
        mending.take_out(key, problem)
        later = {name for m in sealed if m.generation > number for name in m.layers}
        before = sorted((m for m in sealed if m.generation <= number), key=lambda m: m.generation)
        superseded = {
            name: RetiredLayer(m.layer_set, ()) for m in before for name in m.layers if name in later
        }
        retire(place, dump, superseded, reason="damaged", number=number)
        mending.restored.append(key)


def _number(key: str) -> int:
    """Return the number of a retirement out of its key."""
    digits = key.rpartition("-")[2].partition(".")[0]
    return int(digits) if digits.isdigit() else -1


def _settle_identity(mending: Mending, dump: str, split: Split) -> DumpIdentity | None:
    """Return which dump this is, from a manifest, its own record or its group; restore the record if it was lost."""
    place = mending.place
    key = dump_record_key(dump)
    sealed = next(iter(all_manifests(place, dump)), None)
    if sealed is not None:
        return DumpIdentity(split.dataset, split.name, sealed.model, sealed.identity, sealed.sample_digest)
    try:
        about = read_record(place, key, kind="dump")
    except (CorruptError, NotFoundError) as error:
        if isinstance(error, CorruptError):
            mending.take_out(key, problem_of(error, label=dump))
        about = _attributes(place, dump)
    if not {"model", "identity"} <= set(about):
        return None
    identity = DumpIdentity(split.dataset, split.name, about["model"], about["identity"], split.sample_digest)
    if identity.key != dump:
        return None
    content = {"model": identity.model, "fingerprint": identity.fingerprint, "identity": identity.identity}
    mending.put_back(key, record_bytes("dump", content))
    for name, data in group_files(identity).items():
        mending.demand(f"{dump}/{name}", data, label=identity.label())
    return identity


def _attributes(place: Place, dump: str) -> dict[str, object]:
    """Return what the group of a dump says of it."""
    try:
        return attributes_of(place.read(f"{dump}/zarr.json"))
    except StoreError:
        return {}


def _claims(place: Place, dump: str) -> list[Claim]:
    """Return what somebody relies on: layers in sight, and row groups that a repair keeps for the next dump."""
    whole = {manifest.layer_set: manifest for manifest in all_manifests(place, dump)}
    claims = {name: Claim(manifest, {}, frozenset()) for name, manifest in whole.items()}
    for manifest in manifests(place, dump):
        everything = tuple(range(len(manifest.row_groups)))
        groups = dict.fromkeys(manifest.layers, everything)
        claims[manifest.layer_set] = Claim(whole[manifest.layer_set], groups, frozenset(groups))
    for manifest, name, last in out_of_sight(place, dump):
        claim = claims[manifest.layer_set]
        if last.reason == "damaged":
            groups = {**claim.row_groups, name: last.layers[name].kept}
            claims[manifest.layer_set] = replace(claim, row_groups=groups)
    return list(claims.values())


def _seal_what_is_sound(mending: Mending, dump: DumpIdentity, split: Split) -> None:
    """Seal retired layers again of which every row group is sound: only a file beside the shards was made anew."""
    place = mending.place
    history = retirements(place, dump.key)
    everything = tuple(range(len(split.row_groups)))
    sound = {
        name: manifest.specs[name]
        for manifest, name, last in out_of_sight(place, dump.key)
        if last.reason == "damaged" and last.layers[name].kept == everything
    }
    if not sound:
        return
    latest = {name: past.layers[name] for name in sound if (past := latest_of(history, name)) is not None}
    again = Dump.taken_up(place, dump, split, layers=sound, generation=len(history), retired=latest)
    if not again.missing_row_groups():
        again.seal()
