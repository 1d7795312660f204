"""The samples of one split, in storage order, and how a new split is cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from storage.errors import SampleIdError
from storage.format import digest_of_ids, plain, plan_split, runs_of
from storage.splits.selection import mask_of_labels, positions_of_samples

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one split, in storage order.

    Attributes
    ----------
    dataset, name
        Which split of which data set.
    sample_ids
        One id per stored row.
    labels
        int64 ``(n,)`` in storage order, or None.
    class_names
        Name of each label, or empty.
    original_index
        int64 ``(n,)``: position in the data set of each stored row.
    row_groups
        ``(start, stop)`` of each row group; equal sizes but the last.
    sample_digest
        SHA-256 of the ids in storage order: what pairing is checked by.
    provenance
        Where the samples came from.
    groups
        What each stored row belongs to, such as a subject or a source image; the rows of a group lie side by side.
        None where none were declared, and each sample is on its own.
    """

    dataset: str
    name: str
    sample_ids: tuple[str, ...]
    labels: npt.NDArray[np.int64] | None
    class_names: tuple[str, ...]
    original_index: npt.NDArray[np.int64]
    row_groups: tuple[tuple[int, int], ...]
    sample_digest: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None

    @cached_property
    def group_bounds(self) -> tuple[tuple[int, int], ...] | None:
        """``(start, stop)`` of each group's stored rows; None where none were declared."""
        return None if self.groups is None else runs_of(self.groups)

    @cached_property
    def group_digest(self) -> str | None:
        """SHA-256 of the groups in storage order; None where none were declared."""
        return None if self.groups is None else digest_of_ids(self.groups)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.sample_ids)

    def rows(
        self,
        *,
        sample_ids: Sequence[str] | None = None,
        labels: Collection[int | str] | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return where samples are stored, as positions for `Representation.read_rows`.

        Parameters
        ----------
        sample_ids
            In the order in which rows are wanted; repeats allowed. Default: all, in storage order.
        labels
            Only samples of these classes, by number or name.

        Raises
        ------
        SampleIdError
            An id or a label that is not there; the nearest id is named.

        Notes
        -----
        O(n) the first time, then O(ids); reads no activations.
        """
        where = f"{self.dataset}/{self.name}"
        if sample_ids is None:
            rows = np.arange(self.n_samples, dtype=np.int64)
        else:
            rows = positions_of_samples(sample_ids, self._row_of, where=where)
        if labels is None:
            return rows
        return rows[mask_of_labels(labels, self.labels, self.class_names, where=where)[rows]]

    @cached_property
    def _row_of(self) -> Mapping[str, int]:
        """Position of every sample."""
        return {sample: row for row, sample in enumerate(self.sample_ids)}


def planned_split(
    dataset: str,
    name: str,
    sample_ids: Sequence[str],
    *,
    labels: npt.ArrayLike | None,
    class_names: Sequence[str],
    plan: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Split:
    """Return a split cut as `plan` says (arguments of `plan_split`), not yet stored.

    Raises
    ------
    SampleIdError
        Ids are missing or repeated, or there is not one whole-numbered label, or group, per sample.
    """
    cut = plan_split(sample_ids, **plan)
    groups = plan.get("groups")
    ordered = tuple(sample_ids[i] for i in cut.order)
    return Split(
        dataset=dataset,
        name=name,
        sample_ids=ordered,
        labels=None if labels is None else _labels(labels, len(ordered))[cut.order],
        class_names=tuple(str(c) for c in class_names),
        original_index=cut.order,
        row_groups=cut.bounds,
        sample_digest=digest_of_ids(ordered),
        provenance=plain(dict(provenance), where=f"provenance of {dataset}/{name}"),
        groups=None if groups is None else tuple(groups[i] for i in cut.order),
    )


def _labels(labels: npt.ArrayLike, n_samples: int) -> npt.NDArray[np.int64]:
    """Return labels as int64 ``(n,)``."""
    given = np.asarray(labels)
    if given.shape != (n_samples,) or given.dtype.kind not in "iu":
        raise SampleIdError(
            where="labels",
            expected=f"{n_samples} integers, one per sample id",
            found=f"shape {given.shape} of {given.dtype}",
            remedy="Pass one class number per sample, in the order of the ids.",
        )
    return given.astype(np.int64)
