"""A store: splits and sealed representations under one root, and the dumps that add to them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from storage import arrays
from storage.errors import FormatError, LayoutError, NotFoundError, ReadOnlyError
from storage.files import Files
from storage.groups import flag_sealed
from storage.layout import COMMITS
from storage.read import Representation
from storage.records import create_record, read_cached, settle_record
from storage.schema import FORMAT, Address, DumpIdentity, FileRecord, SealedLayer, plain
from storage.sealed import demand_same_specs, dump_keys, find, manifests, sealed_specs, split_keys
from storage.splits import SPLIT, add_split, commits_array, completed_split, load_split, planned_split
from storage.verify import STORE, STORE_RECORD, verify
from storage.write import Dump

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from storage.schema import JSON, LayerSpec
    from storage.splits import Split
    from storage.verify import Problem


def open_store(url: str | Path, *, mode: Literal["r", "a"] = "r") -> Store:
    """Open a store on a local path; with ``mode="a"`` make it where there is none.

    Raises
    ------
    NotFoundError
        ``mode="r"`` and there is nothing.
    FormatError
        Something else is there, a newer format, or the URL is of another kind than a local path.
    """
    text = str(url)
    if "://" in text and not text.startswith("file://"):
        raise FormatError(
            where=text,
            expected="a local path",
            found="a remote URL",
            remedy="Use a directory of this machine.",
        )
    files = Files(str(Path(text.removeprefix("file://")).expanduser().resolve()))
    if mode == "a":
        _make(files)
    if not Path(files.root).exists():
        raise NotFoundError(
            where=files.root, expected="a store", found="nothing", remedy="Dump activations into it first."
        )
    if read_cached(files, STORE_RECORD, kind=STORE) is None:
        raise FormatError(
            where=files.root,
            expected=f"a store (with {STORE_RECORD})",
            found="another directory or file",
            remedy="Give the path of a store, or of a new directory to dump into.",
        )
    return Store(files, mode=mode)


class Store:
    """Representations addressed by data set, split, model and layer; cheap to open, picklable.

    Attributes
    ----------
    url
        Resolved path of the root.
    """

    def __init__(self, files: Files, *, mode: Literal["r", "a"]) -> None:
        self._files = files
        self._mode = mode

    def __repr__(self) -> str:
        """Return the class and the path."""
        return f"<Store {self.url}>"

    @property
    def url(self) -> str:
        """Where the store lies."""
        return self._files.root

    def add_split(  # noqa: PLR0913  (keyword-only beyond the ids)
        self,
        dataset: str,
        split: str,
        sample_ids: Sequence[str],
        *,
        labels: npt.ArrayLike | None = None,
        class_names: Sequence[str] = (),
        row_groups: int = 20,
        seed: int = 0,
        align_rows: int = 1,
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
        row_groups, seed, align_rows
            How it is cut: see `layout.plan_split`.
        provenance
            Where the samples come from; JSON. Kept from the first time, no part of what must agree.

        Raises
        ------
        ConflictError
            Other samples, labels or row groups are stored under this name.
        SampleIdError
            Ids are missing or repeated, or labels do not match them.
        ReadOnlyError
            The store was opened for reading.
        """
        self._demand_writable("add_split")
        plan = {"row_groups": row_groups, "seed": seed, "align_rows": align_rows}
        planned = planned_split(
            dataset,
            split,
            sample_ids,
            labels=labels,
            class_names=class_names,
            plan=plan,
            provenance={"plan": plan, **(provenance or {})},
        )
        return add_split(self._files, planned)

    def split(self, dataset: str, split: str) -> Split:
        """Return a split.

        Raises
        ------
        NotFoundError
            There is none of that name.
        """
        return load_split(self._files, dataset, split)

    def splits(self) -> list[tuple[str, str]]:
        """Return ``(data set, split)`` of every split, sorted."""
        found = []
        for key in split_keys(self._files):
            content = read_cached(self._files, f"{key}/{COMMITS}/split.json", kind=SPLIT)
            if content is not None:
                found.append((str(content["dataset"]), str(content["split"])))
        return sorted(found)

    def begin_dump(
        self,
        *,
        dataset: str,
        split: str,
        model: str,
        layers: Mapping[str, LayerSpec],
        identity: Mapping[str, JSON],
        provenance: Mapping[str, JSON],
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
        samples = completed_split(self._files, dataset, split)
        dump = DumpIdentity(
            dataset=dataset,
            split=split,
            model=model,
            identity=plain(dict(identity), where=f"identity of {model}"),
            sample_digest=samples.sample_digest,
        )
        about = {"model": model, "fingerprint": dump.fingerprint, "identity": dump.identity}
        settle_record(self._files, f"{dump.key}/{COMMITS}/dump.json", kind="dump", content=about)
        sealed = sealed_specs(self._files, dump.key)
        demand_same_specs(dump, layers, sealed)
        flag_sealed(self._files, dump, sealed)
        return Dump(
            self._files,
            dump,
            samples,
            layers={name: spec for name, spec in layers.items() if name not in sealed},
            requested=frozenset(layers),
            provenance=plain(dict(provenance), where=f"provenance of {model}"),
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
        found = {
            SealedLayer(
                address=Address(manifest.dataset, manifest.split, manifest.model, name),
                fingerprint=manifest.fingerprint,
                shape=(manifest.n_samples, *record.shape),
                dtype=record.dtype,
                n_bytes=sum(shard.n_bytes for shard in record.shards),
            )
            for key in dump_keys(self._files, dataset=dataset, split=split, model=model)
            for manifest in manifests(self._files, key)
            if manifest.fingerprint.startswith(fingerprint or "")
            for name, record in manifest.layers.items()
            if layer in (None, name)
        }
        return sorted(found)

    def representation(self, address: Address, *, fingerprint: str | None = None) -> Representation:
        """Open a sealed representation; reads manifests, no activations.

        Raises
        ------
        NotFoundError
            There is none, or it is not sealed yet.
        AmbiguousError
            Several dumps are sealed under this name and no fingerprint was given.
        """
        manifest = find(self._files, address, fingerprint)
        return Representation(
            files=self._files,
            address=address,
            fingerprint=manifest.fingerprint,
            identity=manifest.identity,
            provenances=manifest.provenance,
            sample_digest=manifest.sample_digest,
            row_groups=manifest.row_groups,
            record=manifest.layers[address.layer],
        )

    def verify(
        self, *, dataset: str | None = None, split: str | None = None, model: str | None = None
    ) -> list[Problem]:
        """Return everything that is not as it was committed; reads the whole store, or what is asked for."""
        return list(verify(self._files, dataset=dataset, split=split, model=model))

    def _demand_writable(self, action: str) -> None:
        """Refuse to write to a store opened for reading."""
        if self._mode != "a":
            raise ReadOnlyError(where=self.url, action=action)


def _make(files: Files) -> None:
    """Make a new store, or complete one whose making was cut short; refuse a directory of something else."""
    root = Path(files.root)
    if root.is_dir() and not (root / COMMITS).is_dir() and any(root.iterdir()):
        return
    home = {f"{COMMITS}/{name}": data for name, data in commits_array().items()}
    beside = {"zarr.json": arrays.group_metadata({"activation_store_format": FORMAT}), **home}
    content = {"files": [asdict(FileRecord.of(key, data)) for key, data in beside.items()]}
    create_record(files, STORE_RECORD, kind=STORE, content=content)
    for key, data in beside.items():
        files.create(key, data)
