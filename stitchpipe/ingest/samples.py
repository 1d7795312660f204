"""Which sample each row is: ids and labels from the file, a text file or a count, and the join with a stored split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from stitchpipe.ingest.errors import IngestError
from stitchpipe.utf8 import is_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from storage import Split

Given: TypeAlias = str | Path | Sequence[str] | Sequence[int] | None
"""The name of an array or column in the files, a text file with one line per row, or the values themselves."""

RANGE = "range"
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Samples:
    """Ids of the rows in the order of the table, and where known their labels.

    `labels` are class numbers ``(n,)``, `class_names` their names where they were given by name. `groups` say what each
    sample belongs to, where that was given.
    """

    ids: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None


def vector_name(given: Given, otherwise: str) -> str:
    """Return the name under which ids or labels are looked for in the files."""
    return given if isinstance(given, str) else otherwise


def samples(
    n_rows: int,
    vectors: Mapping[str, npt.NDArray[Any]],
    *,
    ids: Given,
    labels: Given,
    groups: Given = None,
    where: str,
) -> Samples:
    """Return the samples of a table with `n_rows` rows.

    Parameters
    ----------
    vectors
        What the files hold besides layers, by name.
    ids
        ``"range"``: 0, 1, … padded with zeros. None: the array ``ids`` of the files.
    labels
        As `ids`; None without an array ``labels``: there are none. Text becomes class names, in sorted order.
    groups
        As `ids`; None: each sample is on its own, whatever the arrays are called.

    Raises
    ------
    IngestError
        There are no ids, not one per row, the same twice, or labels or groups that are neither integers nor text.
    """
    together = None if groups is None else _groups(groups, vectors, n_rows, where)
    if isinstance(ids, str) and ids == RANGE:
        width = len(str(max(0, n_rows - 1)))
        return Samples(
            tuple(f"{row:0{width}d}" for row in range(n_rows)),
            *_labels(labels, vectors, n_rows, where),
            together,
        )
    values = _values(ids, "ids", vectors, where)
    if values is None:
        raise IngestError(
            where=where,
            expected="an id for every sample: rows of two models are paired by them",
            found="none",
            remedy="Name an array or column, or a text file with one id per line (--ids NAME). Only where row i "
            "is the same sample in everything you will compare: --ids range.",
        )
    texts = tuple(_text(value, where) for value in values)
    _demand_count(texts, n_rows, "ids", where)
    if len(set(texts)) < n_rows:
        first_row = {text: row for row, text in reversed(list(enumerate(texts)))}
        row = next(row for row, text in enumerate(texts) if first_row[text] < row)
        raise IngestError(
            where=where,
            expected="ids that differ",
            found=f"{n_rows - len(set(texts))} repeated, first '{texts[row]}' in row {row}",
            remedy="Leave out repeated samples, or make their ids tell them apart.",
        )
    return Samples(texts, *_labels(labels, vectors, n_rows, where), together)


def positions_in(split: Split, given: Samples, *, where: str) -> npt.NDArray[np.int64]:
    """Return, for every stored row of a split, the row of the table that is the same sample.

    Raises
    ------
    IngestError
        The table has other samples, or other labels or groups of the same samples.
    """
    row_of = {sample: row for row, sample in enumerate(given.ids)}
    missing = [sample for sample in split.sample_ids if sample not in row_of]
    known = set(split.sample_ids)
    extra = [sample for sample in given.ids if sample not in known]
    if missing or extra:
        parts = [f"{len(missing)} of them missing ({_first(missing)})"] if missing else []
        if extra:
            parts.append(f"{len(extra)} others ({_first(extra)}), the first in row {row_of[extra[0]]}")
        raise IngestError(
            where=where,
            expected=f"the {split.n_samples} samples of split '{split.name}' of data set '{split.dataset}', "
            "in any order",
            found=" and ".join(parts),
            remedy="Give activations of exactly these samples, or ingest under another split name.",
        )
    positions = np.array([row_of[sample] for sample in split.sample_ids], dtype=np.int64)
    _demand_same_labels(split, given, positions, where)
    _demand_same_groups(split, given, positions, where)
    return positions


def _demand_same_labels(split: Split, given: Samples, positions: npt.NDArray[np.int64], where: str) -> None:
    """Refuse labels that the split does not have; a table without labels takes the split's."""
    if given.labels is None:
        return
    ours: list[Any] = given.labels[positions].tolist()
    theirs: list[Any] = [None] * len(ours) if split.labels is None else split.labels.tolist()
    if given.class_names and split.labels is not None:
        ours = [given.class_names[label] for label in ours]
        theirs = [_name(split, label) for label in theirs]
    pairs = enumerate(zip(ours, theirs, strict=True))
    differing = [row for row, (our_label, their_label) in pairs if our_label != their_label]
    if differing:
        row = differing[0]
        found = "none there" if split.labels is None else f"'{theirs[row]}' there"
        raise IngestError(
            where=where,
            expected="the labels that the store has for these samples",
            found=f"{len(differing)} others, first '{ours[row]}' of sample '{split.sample_ids[row]}' with {found}",
            remedy="Correct the labels, leave them out, or ingest under another split name.",
        )


def _demand_same_groups(split: Split, given: Samples, positions: npt.NDArray[np.int64], where: str) -> None:
    """Refuse groups that the split does not have; a table without groups takes the split's."""
    if given.groups is None:
        return
    ours = tuple(given.groups[position] for position in positions.tolist())
    if ours != split.groups:
        raise IngestError(
            where=where,
            expected="the groups that the store has for these samples",
            found="none there" if split.groups is None else "others",
            remedy="Correct the groups, leave them out, or ingest under another split name.",
        )


def _groups(
    given: Given, vectors: Mapping[str, npt.NDArray[Any]], n_rows: int, where: str
) -> tuple[str, ...]:
    values = _values(given, "groups", vectors, where) or ()
    _demand_count(values, n_rows, "groups", where)
    return tuple(_text(value, where) for value in values)


def _name(split: Split, label: int) -> str:
    return split.class_names[label] if 0 <= label < len(split.class_names) else str(label)


def _labels(
    given: Given, vectors: Mapping[str, npt.NDArray[Any]], n_rows: int, where: str
) -> tuple[npt.NDArray[np.int64] | None, tuple[str, ...]]:
    values = _values(given, "labels", vectors, where)
    if values is None:
        return None, ()
    _demand_count(values, n_rows, "labels", where)
    numbers = np.asarray(values)
    texts = [_text(value, where) for value in values]
    if numbers.dtype.kind in "iu" or all(text.lstrip("-").isdecimal() for text in texts):
        whole = [int(text) for text in texts]
        beyond = next((number for number in whole if abs(number) >= 1 << 63), None)
        if beyond is not None:
            raise IngestError(
                where=where,
                expected="labels of 64 bits with a sign",
                found=str(beyond),
                remedy="Number the classes from 0, or give their names.",
            )
        return np.array(whole, dtype=np.int64), ()
    names = sorted(set(texts))
    code = {name: number for number, name in enumerate(names)}
    return np.array([code[text] for text in texts], dtype=np.int64), tuple(names)


def _values(
    given: Given, otherwise: str, vectors: Mapping[str, npt.NDArray[Any]], where: str
) -> Sequence[Any] | None:
    """Return ids, labels or groups as they were given; None where nobody gave any."""
    name = vector_name(given, otherwise)
    if given is None or isinstance(given, str):
        if name in vectors:
            return _one_per_row(vectors[name], name, where)
        if given is None:
            return None
    if isinstance(given, str | Path):
        try:
            return Path(given).read_text("utf-8").removesuffix("\n").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise IngestError(
                where=where,
                expected=f"'{given}' as an array or column of the files, or as a text file with a line per row",
                found=getattr(error, "strerror", None) or "text that is not UTF-8",
                remedy="Correct the name or the path.",
            ) from None
    return given


def _one_per_row(vector: npt.NDArray[Any], name: str, where: str) -> Sequence[Any]:
    if vector.ndim != 1:
        raise IngestError(
            where=f"{where}, '{name}'",
            expected="one value per row",
            found=f"shape {vector.shape}",
            remedy="Give a vector.",
        )
    values: Sequence[Any] = vector.tolist()
    return values


def _text(value: object, where: str) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, str) and not is_text(value):
        raise IngestError(
            where=where,
            expected="ids, labels and groups that can be written as UTF-8",
            found=repr(value),
            remedy="Write them as text.",
        )
    if isinstance(value, str) or (isinstance(value, int | np.integer) and not isinstance(value, bool)):
        return str(value)
    raise IngestError(
        where=where,
        expected="text or integers as ids, labels and groups",
        found=f"{type(value).__name__} {value!r}",
        remedy="Write them as text.",
    )


def _demand_count(values: Sequence[Any], n_rows: int, what: str, where: str) -> None:
    if len(values) != n_rows:
        raise IngestError(
            where=where,
            expected=f"{n_rows} {what}, one per row",
            found=f"{len(values)}",
            remedy="Give one per row, in the order of the rows.",
        )


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")
