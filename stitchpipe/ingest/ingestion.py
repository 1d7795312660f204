"""An ingestion: rows in anybody's order become sealed row groups in the store's own order."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from stitchpipe.ingest.columns import Choice
from stitchpipe.ingest.samples import RANGE, positions_in, samples, vector_name
from stitchpipe.ingest.scan import BLOCK_BYTES, scan
from stitchpipe.ingest.spool import Spool
from stitchpipe.ingest.table import Table, from_batches, from_files
from stitchpipe.run.place import named_store
from storage import LayerSpec, NotFoundError, open_store, plan_split, rows_of_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.ingest.samples import Given, Samples
    from stitchpipe.ingest.table import Batch
    from storage import JSON, Dump, Split, Store

INGEST_VERSION = 1
"""Raised when the same rows would give other stored values."""

Dtype: TypeAlias = Literal["float16", "float32"]
Report: TypeAlias = "Callable[[str, int, int], None]"
"""Called with a name of what is done (``check``, ``write``), and (done, total) rows or row groups."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingestion gave; `row_groups_written` is 0 where everything was there."""

    store: str
    fingerprint: str
    layers: tuple[str, ...]
    n_samples: int
    row_groups: int
    row_groups_written: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where rows go, and how they are stored.

    Attributes
    ----------
    store
        Its path or URL.
    dataset, split, model
        Names in the store.
    dtype
        As which values are stored; None leaves it to each layer.
    channels_last
        Whether samples of three dimensions are ``(H, W, C)`` where they come from.
    row_groups
        Of a split that is added.
    """

    store: str
    dataset: str
    split: str
    model: str
    dtype: Dtype | None
    channels_last: bool
    row_groups: int

    @property
    def spool_folder(self) -> Path:
        """Where temporary files may lie: beside a store of this machine, else where the system keeps them."""
        remote = "://" in self.store and not self.store.startswith("file://")
        return Path(tempfile.gettempdir()) if remote else Path(self.store.removeprefix("file://")).parent


def ingest_files(  # noqa: PLR0913  (keyword-only beyond the two)
    target: str | Path,
    files: Sequence[str | Path],
    *,
    dataset: str,
    split: str,
    model: str,
    layer: str | None = None,
    only: Sequence[str] = (),
    ids: Given = None,
    labels: Given = None,
    groups: Given = None,
    dtype: Dtype | None = None,
    channels_last: bool = False,
    row_groups: int = 20,
    report: Report | None = None,
) -> Ingested:
    """Put the layers in `files` into sealed representations of one model on one split.

    Values are checked and digested in one read, then stored row group by row group. The digest, not the files'
    names, is the identity: the same content again finds everything there, an interrupted ingestion goes on, and
    other content under the same name is another fingerprint.

    Parameters
    ----------
    target
        A run's folder, whose ``store.zarr`` is made if it is not there; or a store's path or URL.
    files
        ``.npy``, ``.npz``, ``.safetensors``, ``.parquet``; all hold the same samples in the same order.
    dataset, split, model
        Names in the store. A split that is there is joined by sample id, in any order; one that is not is added.
    layer
        Name of the layer where the files hold a single one; default: the array's, for ``.npy`` the file's.
    only
        Globs over the names of arrays: which of them are layers; default: all but ids and labels.
    ids
        One per row: the name of an array or column of the files, a text file with one per line, a list, or
        ``"range"`` for 0, 1, … padded with zeros. Default: the array ``ids`` of the files.
    labels
        Class numbers or names, given as `ids`; default: the array ``labels`` of the files, or none.
    groups
        What each sample belongs to, such as its subject or source, given as `ids`; default: each is on its own.
    dtype
        As which values are stored; default: float16 as float16, everything else as float32.
    channels_last
        Arrays of four dimensions are ``(n, H, W, C)``, not ``(n, C, H, W)``.
    row_groups
        Of a split that is added.
    report
        Called with (what, done, total).

    Raises
    ------
    IngestError
        A file that cannot be read; arrays that are no activations; NaN, infinity or values out of range; ids that
        are missing or not those of the split. Nothing is stored then.
    storage.StoreError
        The store refuses.

    Notes
    -----
    Reads the files twice, about 16 MiB at a time. Parquet and compressed ``.npz`` are unpacked first into a temporary
    file beside the store, which needs the room of the rows uncompressed and vanishes with the process.
    """
    destination = Destination(named_store(target), dataset, split, model, dtype, channels_last, row_groups)
    names = frozenset({vector_name(ids, "ids"), vector_name(labels, "labels")})
    names |= {groups} if isinstance(groups, str) else set()
    with Spool(destination.spool_folder) as spool:
        paths = [Path(file) for file in files]
        table = from_files(paths, Choice(tuple(only), names), spool, layer=layer, channels_last=channels_last)
        given = samples(table.n_rows, table.vectors, ids=ids, labels=labels, groups=groups, where=table.where)
        return _ingest(table, given, destination, report or _silent)


def ingest_batches(  # noqa: PLR0913  (keyword-only beyond the two)
    target: str | Path,
    batches: Iterable[Batch],
    *,
    dataset: str,
    split: str,
    model: str,
    ids: Literal["range"] | None = None,
    dtype: Dtype | None = None,
    channels_last: bool = False,
    row_groups: int = 20,
    report: Report | None = None,
) -> Ingested:
    """Put batches of rows, in any order, into sealed representations; see `ingest_files`.

    Parameters
    ----------
    batches
        ``(ids, {layer: rows})``, ``(ids, {layer: rows}, labels)`` or ``(ids, {layer: rows}, labels, groups)``: the same
        k rows of every layer, arrays of NumPy or anything `numpy.asarray` takes; every batch has the same layers.
        Groups say what each row belongs to, such as its subject; labels may be None beside them. Taken once.
    ids
        ``"range"`` numbers the rows; the ids of the batches may then be None.

    Notes
    -----
    Row groups of the store are random subsets of the samples, so that no batch fills one. The rows are kept in a
    temporary file beside the store until all are there: room on the disk for all rows, memory for one batch. Batches
    that end early leave nothing behind.
    """
    destination = Destination(named_store(target), dataset, split, model, dtype, channels_last, row_groups)
    with Spool(destination.spool_folder) as spool:
        table = from_batches(batches, spool, channels_last=channels_last, numbered=ids == RANGE)
        groups = "groups" if "groups" in table.vectors else None
        given = samples(table.n_rows, table.vectors, ids=ids, labels=None, groups=groups, where=table.where)
        return _ingest(table, given, destination, report or _silent)


def _ingest(table: Table, given: Samples, destination: Destination, report: Report) -> Ingested:
    """Check and digest everything, then add the split if it is new, write what is missing and seal."""
    order = _order(table, given, destination)
    dtypes: dict[str, str] = {
        name: destination.dtype or column.own_dtype for name, column in table.columns.items()
    }
    digests = _digests(table, given, order, dtypes, report)
    store = open_store(destination.store, mode="a")
    split = _known_split(destination) or _added_split(store, table, given, destination)
    order = positions_in(split, given, where=table.where)  # another writer may have added it since
    dump = store.begin_dump(
        dataset=destination.dataset,
        split=destination.split,
        model=destination.model,
        layers={name: LayerSpec(column.shape, dtypes[name]) for name, column in table.columns.items()},
        identity={"weights": None, "ingested": True, "layers": digests, "capture_version": INGEST_VERSION},
        provenance=_provenance(table),
    )
    missing, count = dump.missing_row_groups(), len(split.row_groups)
    for number, row_group in enumerate(missing, start=count - len(missing)):
        report("write", number, count)
        _write(dump, row_group, table, order)
    dump.seal()
    report("write", count, count)
    return Ingested(destination.store, dump.fingerprint, tuple(digests), split.n_samples, count, len(missing))


def _added_split(store: Store, table: Table, given: Samples, destination: Destination) -> Split:
    return store.add_split(
        destination.dataset,
        destination.split,
        given.ids,
        labels=given.labels,
        class_names=given.class_names,
        groups=given.groups,
        provenance={"ingested from": list(table.files)},
        **_cut(table, destination),
    )


def _digests(
    table: Table, given: Samples, order: npt.NDArray[np.int64], dtypes: Mapping[str, str], report: Report
) -> dict[str, JSON]:
    """Check every value of every layer; return the layers' digests."""
    total, done = table.n_rows * len(dtypes), 0

    def report_rows(rows: int) -> None:
        nonlocal done
        done += rows
        report("check", done, total)

    return {
        name: scan(column, dtypes[name], ids=given.ids, order=order, report=report_rows)
        for name, column in table.columns.items()
    }


def _write(dump: Dump, row_group: int, table: Table, order: npt.NDArray[np.int64]) -> None:
    """Write one row group, some rows of all its layers at a time."""
    start, stop = dump.split.row_groups[row_group]
    chosen = {name: table.columns[name] for name in dump.layers}
    step = max(1, BLOCK_BYTES // sum(column.row_bytes for column in chosen.values()))
    with dump.row_group(row_group) as writer:
        for first in range(start, stop, step):
            rows = order[first : min(first + step, stop)]
            writer.append({name: column.read(rows) for name, column in chosen.items()})


def _order(table: Table, given: Samples, destination: Destination) -> npt.NDArray[np.int64]:
    """Return which row of the table each stored row is: in the split that is there, or in the one that will be."""
    split = _known_split(destination)
    if split is not None:
        return positions_in(split, given, where=table.where)
    return plan_split(given.ids, groups=given.groups, **_cut(table, destination)).order


def _cut(table: Table, destination: Destination) -> dict[str, Any]:
    """Return how a new split is cut: no shard of the widest layer grows beyond what is held at a time."""
    widest = max(prod(column.shape) for column in table.columns.values())
    return {"row_groups": destination.row_groups, "max_rows": rows_of_shard(4 * widest)}


def _known_split(destination: Destination) -> Split | None:
    """Return the split if the store has it; None where there is none, or no store."""
    try:
        return open_store(destination.store).split(destination.dataset, destination.split)
    except NotFoundError:
        return None


def _provenance(table: Table) -> dict[str, JSON]:
    versions: dict[str, JSON] = {name: version(name) for name in ("stitchpipe", "numpy", "zarr")}
    return {**versions, "python": platform.python_version(), "ingested from": list(table.files)}


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total
