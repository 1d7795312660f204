"""Which rows were asked for: slices, positions, masks, sample ids and labels as positions from zero."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

import numpy as np

from stitchpipe.errors import nearest
from storage.errors import LayoutError, SampleIdError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy.typing as npt

_NEIGHBOURS = 100


def row_positions(rows: slice | npt.NDArray[Any], n_samples: int, *, where: str) -> npt.NDArray[np.int64]:
    """Return `rows` as positions from 0 to ``n_samples − 1``, in the order asked for.

    Raises
    ------
    LayoutError
        Positions out of range, not whole, or a mask of another length.
    """
    if isinstance(rows, slice):
        return np.arange(*rows.indices(n_samples), dtype=np.int64)
    given = np.asarray(rows)
    if given.dtype == np.bool_ and given.shape == (n_samples,):
        return np.flatnonzero(given).astype(np.int64)
    if given.shape == (0,):
        return np.empty(0, dtype=np.int64)
    whole = given.ndim == 1 and given.dtype.kind in "iu"
    if whole and given.min() >= -n_samples and given.max() < n_samples:
        wanted = given.astype(np.int64)
        return np.where(wanted < 0, wanted + n_samples, wanted)
    span = f", from {given.min()} to {given.max()}" if whole else ""
    raise LayoutError(
        where=where,
        expected=f"a slice, positions within {n_samples} rows, or a mask of that length",
        found=f"{given.dtype} of shape {given.shape}{span}",
        remedy="Positions are those of storage order; split.original_index maps them to the data set's.",
    )


def positions_of_samples(
    wanted: Sequence[str], row_of: Mapping[str, int], *, where: str
) -> npt.NDArray[np.int64]:
    """Return the positions of samples, in the order asked for; `row_of` has the position of every id.

    Raises
    ------
    SampleIdError
        Ids that are not there: how many, the first, and the id there that is most like it.
    """
    unknown = [sample for sample in wanted if sample not in row_of]
    if unknown:
        raise SampleIdError(
            where=where,
            expected=f"ids of its {len(row_of)} samples",
            found=f"{len(unknown)} of {len(wanted)} that are not there, first {unknown[0]!r}",
            remedy=_nearest(str(unknown[0]), row_of) or "Correct them.",
        )
    return np.fromiter((row_of[sample] for sample in wanted), dtype=np.int64, count=len(wanted))


def mask_of_labels(
    wanted: Collection[int | str],
    labels: npt.NDArray[np.int64] | None,
    class_names: Sequence[str],
    *,
    where: str,
) -> npt.NDArray[np.bool_]:
    """Return which rows have one of some labels, given as class numbers or names.

    Raises
    ------
    SampleIdError
        There are no labels, or no row has one that was asked for.
    """
    remedy = "Select by sample_ids, or store the samples with labels under another split name."
    if labels is None:
        raise SampleIdError(where=where, expected="samples with labels", found="none", remedy=remedy)
    code = {name: number for number, name in enumerate(class_names)}
    numbers = [code.get(label, -1) if isinstance(label, str) else int(label) for label in wanted]
    there = set(np.unique(labels).tolist())
    unknown = [label for label, number in zip(wanted, numbers, strict=True) if number not in there]
    if unknown:
        names = [
            class_names[label] if 0 <= label < len(class_names) else str(label) for label in sorted(there)
        ]
        shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        raise SampleIdError(
            where=where,
            expected=f"labels of its samples ({shown})",
            found=f"{unknown[0]!r}",
            remedy="Correct it.",
        )
    return np.isin(labels, numbers)


def _nearest(name: str, known: Collection[str]) -> str:
    """Ask whether the known name most like `name` was meant, if one is near.

    Only its neighbours in sorted order are looked at: comparing with every one of a million ids would take minutes.
    """
    ordered = sorted(known)
    at = bisect.bisect(ordered, name)
    return nearest(name, ordered[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS])
