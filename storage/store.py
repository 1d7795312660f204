"""A store: splits and sealed representations under one root, and the dumps that add to them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Literal

from storage.commits import (
    all_manifests,
    demand_same_specs,
    dump_keys,
    find_manifest,
    manifests,
    retirements,
    sealed_specs,
    split_keys,
)
from storage.errors import LayoutError, ReadOnlyError
from storage.format import (
    Address,
    DumpIdentity,
    Encoding,
    SealedLayer,
    dump_record_key,
    plain,
    read_cached,
    settle_record,
    split_record_key,
)
from storage.maintenance import evict, evicted, find_garbage, repair, strangers_in, verify, verify_summaries
from storage.place import LEASE_S
from storage.reading import Representation
from storage.splits import SPLIT, add_split, completed_split, load_split, planned_split
from storage.summaries import SUMMARIES, Summaries
from storage.writing import Dump, flag_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    import numpy as np
    import numpy.typing as npt

    from storage.format import JSON, LayerSpec
    from storage.maintenance import Evicted, EvictedLayer, Filters, Garbage, Repair
    from storage.place import Place
    from storage.problems import Problem
    from storage.splits import Split


class Store:
    """Representations addressed by data set, split, model and layer; cheap to open, picklable.

    Attributes
    ----------
    url
        Resolved path of the root, or URL.
    """

    def __init__(self, place: Place, *, mode: Literal["r", "a"], check_reads: bool = True) -> None:
        self._place = place
        self._mode = mode
        self._check_reads = check_reads

    def __repr__(self) -> str:
        """Return the class and the place."""
        return f"<Store {self.url}>"

    @property
    def url(self) -> str:
        """Where the store lies."""
        return self._place.url

    @property
    def summaries(self) -> Summaries:
        """The summaries that are kept in this store; writable where the store is. Evictions leave them."""
        return Summaries(self._place, SUMMARIES, mode=self._mode)

    def add_split(  # noqa: PLR0913  (keyword-only beyond the ids)
        self,
        dataset: str,
        split: str,
        sample_ids: Sequence[str],
        *,
        labels: npt.ArrayLike | None = None,
        class_names: Sequence[str] = (),
        groups: Sequence[str] | None = None,
        row_groups: int = 20,
        seed: int = 0,
        align_rows: int = 1,
        max_rows: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Split:
        """Add the samples of a split, or find them there.

        Parameters
        ----------
        dataset, split
            Its name.
        sample_ids
            One unique id per sample, in the data set's order.
        labels
            Class number of each sample, or None.
        class_names
            Name of each class.
        groups
            What each sample belongs to, such as its subject, scene or source image; None where each is on its own.
            Samples of one group are stored side by side, and no null or interval takes them apart.
        row_groups, seed, align_rows, max_rows
            How it is cut: see `storage.plan_split`.
        provenance
            Where the samples come from; JSON. Kept from the first time, no part of what must agree.

        Raises
        ------
        ConflictError
            Other samples, labels, groups or row groups are stored under this name.
        SampleIdError
            Ids are missing or repeated, or labels or groups do not match them.
        ReadOnlyError
            The store was opened for reading.
        """
        self._demand_writable("add_split")
        plan = {"row_groups": row_groups, "seed": seed, "align_rows": align_rows, "max_rows": max_rows}
        planned = planned_split(
            dataset,
            split,
            sample_ids,
            labels=labels,
            class_names=class_names,
            plan={**plan, "groups": groups},
            provenance={"plan": plan, **(provenance or {})},
        )
        return add_split(self._place, planned)

    def split(self, dataset: str, split: str) -> Split:
        """Return a split.

        Raises
        ------
        NotFoundError
            There is none of that name.
        """
        return load_split(self._place, dataset, split)

    def splits(self) -> list[tuple[str, str]]:
        """Return ``(data set, split)`` of every split, sorted."""
        names = []
        for key in split_keys(self._place):
            content = read_cached(self._place, split_record_key(key), kind=SPLIT)
            if content is not None:
                names.append((str(content["dataset"]), str(content["split"])))
        return sorted(names)

    def begin_dump(
        self,
        *,
        dataset: str,
        split: str,
        model: str,
        layers: Mapping[str, LayerSpec],
        identity: Mapping[str, JSON],
        provenance: Mapping[str, JSON],
        encoding: Encoding | None = None,
    ) -> Dump:
        """Begin, or take up again, the dump of a model's layers over a split.

        Parameters
        ----------
        dataset, split, model
            Names; the split must have been added.
        layers
            Layer name → one sample's shape and storage dtype.
        identity
            What makes the values what they are: weights, architecture, data, preprocessing, dtype, batch
            size, capture version. JSON; its digest with the samples' is the fingerprint.
        provenance
            What is worth knowing about this run: versions, device, precision flags. JSON; not identity.
        encoding
            Codec and chunk size of layers that are not there yet; those that are keep theirs.

        Returns
        -------
        Dump
            Its `layers` are those not sealed yet; `sealed` says that there are none.

        Raises
        ------
        NotFoundError
            The split was not added.
        ConflictError
            A layer is sealed under this fingerprint with another shape or dtype.
        SchemaError
            Identity or provenance is not JSON.
        """
        self._demand_writable("begin_dump")
        if not layers:
            raise LayoutError(
                where=model, expected="at least one layer", found="none", remedy="Name the layers."
            )
        samples = completed_split(self._place, dataset, split)
        dump = DumpIdentity(
            dataset=dataset,
            split=split,
            model=model,
            identity=plain(dict(identity), where=f"identity of {model}"),
            sample_digest=samples.sample_digest,
        )
        about = {"model": model, "fingerprint": dump.fingerprint, "identity": dump.identity}
        settle_record(self._place, dump_record_key(dump.key), kind="dump", content=about)
        sealed = sealed_specs(self._place, dump.key)
        demand_same_specs(dump, layers, sealed)
        flag_sealed(self._place, dump, sealed)
        history = retirements(self._place, dump.key)
        missing = {name: spec for name, spec in layers.items() if name not in sealed}
        latest = {name: past.layers[name] for past in history for name in missing if name in past.layers}
        return Dump(
            self._place,
            dump,
            samples,
            layers=missing,
            requested=frozenset(layers),
            provenance=plain(dict(provenance), where=f"provenance of {model}"),
            encoding=encoding or Encoding(),
            generation=len(history),
            retired=latest,
        )

    def representations(
        self,
        *,
        dataset: str | None = None,
        split: str | None = None,
        model: str | None = None,
        layer: str | None = None,
        fingerprint: str | None = None,
    ) -> list[SealedLayer]:
        """Return what can be opened, sorted by address; `fingerprint` may be its first digits."""
        sealed = {
            SealedLayer(
                address=Address(manifest.dataset, manifest.split, manifest.model, name),
                fingerprint=manifest.fingerprint,
                shape=(manifest.n_samples, *record.shape),
                dtype=record.dtype,
                n_bytes=sum(shard.n_bytes for shard in record.shards),
            )
            for key in dump_keys(self._place, dataset=dataset, split=split, model=model)
            for manifest in manifests(self._place, key)
            if manifest.fingerprint.startswith(fingerprint or "")
            for name, record in manifest.layers.items()
            if layer in (None, name)
        }
        return sorted(sealed)

    def ever_sealed(self) -> dict[tuple[str, str], set[str]]:
        """Return the layers that manifests sealed, evicted ones too, by model and fingerprint."""
        layers = defaultdict[tuple[str, str], set[str]](set)
        for key in dump_keys(self._place):
            for manifest in all_manifests(self._place, key):
                layers[manifest.model, manifest.fingerprint].update(manifest.layers)
        return dict(layers)

    def representation(self, address: Address, *, fingerprint: str | None = None) -> Representation:
        """Open a sealed representation; reads manifests, no activations.

        Raises
        ------
        NotFoundError
            There is none, or it is not sealed yet.
        AmbiguousError
            Several dumps are sealed under this name and no fingerprint was given.
        """
        manifest = find_manifest(self._place, address, fingerprint)
        return Representation(
            place=self._place,
            address=address,
            fingerprint=manifest.fingerprint,
            identity=manifest.identity,
            provenances=manifest.provenance
            if self._check_reads
            else tuple({**provenance, "reads": "not checked"} for provenance in manifest.provenance),
            sample_digest=manifest.sample_digest,
            row_groups=manifest.row_groups,
            record=manifest.layers[address.layer],
            layer_set=manifest.layer_set,
            checked=self._check_reads,
        )

    def verify(
        self,
        *,
        dataset: str | None = None,
        split: str | None = None,
        model: str | None = None,
        sample: float = 1.0,
        rng: np.random.Generator | None = None,
        on_shard: Callable[[str, int], None] | None = None,
        on_summary: Callable[[str, int], None] | None = None,
    ) -> list[Problem]:
        """Return everything that is not as it was committed; reads all, or what is asked for.

        `sample` is the share of the inner chunks, and of the arrays of summaries, that are read; see
        `storage.maintenance.verification.verify`. Summaries, and names that
        no store has, are looked at where no data set, split or model is asked for.
        """
        chosen = {"dataset": dataset, "split": split, "model": model}
        problems = list(verify(self._place, **chosen, sample=sample, rng=rng, on_shard=on_shard))
        if not any(chosen.values()):
            problems += verify_summaries(self._place, sample=sample, rng=rng, on_summary=on_summary)
            problems += strangers_in(self._place, but=problems)
        return problems

    def repair(
        self,
        *,
        model: str | None = None,
        on_shard: Callable[[str, int], None] | None = None,
        on_summary: Callable[[str, int], None] | None = None,
    ) -> Repair:
        """Quarantine what is damaged and make again what can be; see `storage.maintenance.repairing`."""
        self._demand_writable("repair")
        return repair(self._place, model=model, on_shard=on_shard, on_summary=on_summary)

    def gc(self, *, older_than_s: float = LEASE_S, now_s: float | None = None) -> Garbage:
        """Return what was never committed and is not in use; see `storage.maintenance.garbage`."""
        self._demand_writable("gc")
        return find_garbage(self._place, older_than_s=older_than_s, now_s=now_s)

    def evict(self, **filters: Unpack[Filters]) -> Evicted:
        """Give up the values of representations, chosen as in `representations`; see `storage.maintenance.eviction`."""
        self._demand_writable("evict")
        return evict(self._place, **filters)

    def evicted(self, **filters: Unpack[Filters]) -> list[EvictedLayer]:
        """Return what was evicted and not dumped again, sorted by address; filters as in `representations`."""
        return evicted(self._place, **filters)

    def _demand_writable(self, action: str) -> None:
        """Refuse to write to a store opened for reading."""
        if self._mode != "a":
            raise ReadOnlyError(where=self.url, action=action)
