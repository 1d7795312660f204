"""A table of activations, a row for each sample and a column for each layer: from files, or from batches of Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from stitchpipe.ingest.columns import Choice, Column
from stitchpipe.ingest.errors import IngestError
from stitchpipe.ingest.formats import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy.typing as npt

    from stitchpipe.ingest.columns import Contents
    from stitchpipe.ingest.spool import Spool

Batch: TypeAlias = (
    tuple[Sequence[Any] | None, Mapping[str, Any]]
    | tuple[Sequence[Any] | None, Mapping[str, Any], Sequence[Any]]
    | tuple[Sequence[Any] | None, Mapping[str, Any], Sequence[Any] | None, Sequence[Any]]
)
"""``(ids, {layer: rows})``, with labels behind that, and behind these, which may be None, the group of each row."""
BESIDE = ("labels", "groups")
"""What may stand behind the layers of a batch, in this order."""


@dataclass(frozen=True, eq=False)
class Table:
    """Layers of the same samples in the same order, on the disk.

    Attributes
    ----------
    where
        What messages name: the first files, or ``batches``.
    files
        Paths of all of them; none where batches were given.
    columns
        Layer → its rows.
    vectors
        Name → one value per row: what may be ids or labels.
    """

    where: str
    files: tuple[str, ...]
    columns: Mapping[str, Column]
    vectors: Mapping[str, npt.NDArray[Any]]

    @property
    def n_rows(self) -> int:
        """Number of samples."""
        return next(iter(self.columns.values())).n_rows


def from_files(
    paths: Sequence[Path], choice: Choice, spool: Spool, *, layer: str | None, channels_last: bool
) -> Table:
    """Return the layers of some files together.

    Raises
    ------
    IngestError
        No layers, one layer twice, different numbers of rows, ids that differ between files, or what `read_file` and
        `Column.checked` refuse.
    """
    columns: dict[str, Column] = {}
    vectors: dict[str, npt.NDArray[Any]] = {}
    for path in paths:
        contents = read_file(path, choice, spool)
        for name, column in contents.columns.items():
            if name in columns:
                raise IngestError(
                    where=str(path),
                    expected="every layer once",
                    found=f"'{name}' here and in {columns[name].where}",
                    remedy="Rename one of them, or ingest them under different models or splits.",
                )
            columns[name] = column.checked(channels_last=channels_last)
        _gather(vectors, contents)
    where = ", ".join(map(str, paths[:3])) + (", …" if len(paths) > 3 else "")
    if layer is not None:
        columns = {layer: replace(_single(columns, layer, where), name=layer)}
    return _table(where, tuple(map(str, paths)), columns, vectors)


def from_batches(batches: Iterable[Batch], spool: Spool, *, channels_last: bool, numbered: bool) -> Table:
    """Put batches into the spool; return them as one table.

    Raises
    ------
    IngestError
        Batches of other layers than the first, of different numbers of rows, ids, labels or groups, or what
        `Column.checked` refuses.
    """
    gathered: dict[str, list[Any]] = {name: [] for name in ("ids", *BESIDE)}
    for number, batch in enumerate(batches):
        where = f"batch {number}"
        ids, layers, *rest = batch
        rows = {name: _array(values, f"{where}, layer '{name}'") for name, values in layers.items()}
        counts = {len(block) if block.ndim else 0 for block in rows.values()}
        vectors = {} if numbered or ids is None else {"ids": list(ids)}
        vectors |= {
            name: list(values) for name, values in zip(BESIDE, rest, strict=False) if values is not None
        }
        counts |= {len(values) for values in vectors.values()}
        if len(counts) != 1 or (number and set(rows) != set(spool.layers)):
            sizes = {name: block.shape for name, block in rows.items()}
            named = dict.fromkeys(("ids", *vectors))
            raise IngestError(
                where=where,
                expected="the same rows of the same layers in every batch, with one of all else each",
                found=f"{sizes} with {', '.join(f'{len(vectors.get(name, ()))} {name}' for name in named)}",
                remedy="Yield (ids, {layer: rows}) with all layers every time; behind these labels, and groups.",
            )
        for name, block in rows.items():
            spool.append(name, block, where=where)
        for name, values in vectors.items():
            gathered[name] += values
    columns = {
        name: Column(name, "batches", spool.rows(name)).checked(channels_last=channels_last)
        for name in spool.layers
    }
    vectors_found = {name: np.array(values, dtype=object) for name, values in gathered.items() if values}
    return _table("batches", (), columns, vectors_found)


def _array(values: Any, where: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise IngestError(
            where=where,
            expected="an array, or what numpy.asarray takes",
            found=f"{type(values).__name__}: {error}".splitlines()[0],
            remedy="Detach tensors, move them to the CPU and cast bfloat16 to float32 first.",
        ) from None


def _gather(vectors: dict[str, npt.NDArray[Any]], contents: Contents) -> None:
    """Take a file's vectors; those of several files must agree, because rows are paired by position."""
    for name, values in contents.vectors.items():
        if name in vectors and not np.array_equal(vectors[name], values):
            raise IngestError(
                where=contents.where,
                expected=f"the same '{name}' in the same order in all files",
                found="others than in the files before",
                remedy="Ingest the files one by one: rows are then joined by their ids.",
            )
        vectors[name] = values


def _single(columns: Mapping[str, Column], layer: str, where: str) -> Column:
    if len(columns) != 1:
        raise IngestError(
            where=where,
            expected=f"a single array, to be called '{layer}'",
            found=f"{len(columns)}: {', '.join(list(columns)[:8])}",
            remedy="Choose one with --only NAME, or leave out --layer: arrays keep their names.",
        )
    return next(iter(columns.values()))


def _table(
    where: str, files: tuple[str, ...], columns: Mapping[str, Column], vectors: Mapping[str, npt.NDArray[Any]]
) -> Table:
    if not columns:
        raise IngestError(
            where=where or "files",
            expected="at least one layer of activations",
            found="none",
            remedy="Give files with arrays of floating point; check the globs of --only.",
        )
    counts = {name: column.n_rows for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        raise IngestError(
            where=where,
            expected="the same samples in all layers",
            found=", ".join(f"{count} rows of {name}" for name, count in list(counts.items())[:4]),
            remedy="Ingest layers of other samples under another split.",
        )
    return Table(where, files, columns, vectors)
