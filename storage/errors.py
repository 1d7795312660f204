"""What can go wrong with a store: one class per kind, each saying where, expected, found and what to do.

Every error keeps its values as attributes and survives pickling, so that it crosses process boundaries whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Sequence


REMEDY = "Repair the store, then dump again: only what is damaged is computed."
"""What helps where committed bytes are damaged."""


class StoreError(ExplainedError):
    """Anything a store refuses; `where`, `expected`, `found` and `remedy` are attributes."""


class NotFoundError(StoreError):
    """There is no store, split or sealed representation of that name."""


class ArrayNotFoundError(NotFoundError):
    """The summary is there, but holds no array of that name."""


class EvictedError(NotFoundError):
    """The representation was evicted to make room: its values are gone, the manifest is there. Dump it again."""


class FormatError(StoreError):
    """The directory is not a store, or one of a format this version does not read."""


class ReadOnlyError(StoreError):
    """A store opened for reading was asked to write."""

    def __init__(self, *, where: str, action: str) -> None:
        super().__init__(
            where=where,
            expected="a store opened with mode='a'",
            found=f"{action} on a store opened with mode='r'",
            remedy="Open it with open_store(url, mode='a').",
        )


class WriteError(StoreError):
    """The place refused a write: full, read-only, forbidden, or without exclusive creation.

    `cause` is what the file system said, or, of a place that has no `errno`, words.
    """

    def __init__(
        self,
        *,
        path: str,
        n_bytes: int,
        cause: OSError | str,
        remedy: str = "Make room or choose a writable place on a file system with hard links, and run again: "
        "what is committed stays valid and the dump resumes.",
    ) -> None:
        self.path, self.n_bytes = path, n_bytes
        self.errno = None if isinstance(cause, str) else cause.errno
        super().__init__(
            where=path,
            expected=f"to write {n_bytes} bytes durably",
            found=cause if isinstance(cause, str) else f"{cause.strerror} (errno {cause.errno})",
            remedy=remedy,
        )


class ConflictError(StoreError):
    """The name is taken by other content; nothing is overwritten."""


class AmbiguousError(StoreError):
    """A bare name stands for more than one sealed dump; `fingerprints` lists them."""

    def __init__(self, *, where: str, fingerprints: Sequence[str]) -> None:
        self.fingerprints = tuple(fingerprints)
        super().__init__(
            where=where,
            expected="one sealed dump under this name",
            found=f"{len(self.fingerprints)}: " + ", ".join(self.fingerprints),
            remedy="Pass fingerprint= with one of these (its first 12 digits are enough).",
        )


class LayoutError(StoreError, ValueError):
    """A block, shape or dtype does not fit the layout; blocks are whole row groups, never parts."""


class SampleIdError(StoreError, ValueError):
    """Sample ids are missing, repeated, or not text."""


class SchemaError(StoreError, ValueError):
    """An identity or provenance entry is not plain JSON."""


class UnfinishedError(StoreError):
    """A dump cannot be sealed yet; `row_groups` are missing."""

    def __init__(self, *, where: str, row_groups: Sequence[int], total: int) -> None:
        self.row_groups = tuple(row_groups)
        shown = ", ".join(map(str, self.row_groups[:8])) + (", …" if len(self.row_groups) > 8 else "")
        super().__init__(
            where=where,
            expected=f"all {total} row groups written before it is sealed",
            found=f"{len(self.row_groups)} missing ({shown})",
            remedy="Write what missing_row_groups() lists, then seal again.",
        )


class PairingError(StoreError, ValueError):
    """Two representations do not hold the same samples in the same order and row groups."""


class NonFiniteError(StoreError, ValueError):
    """Activations hold NaN or infinity; `layer`, `sample_id` (the first) and `count` (of values) say where."""

    def __init__(self, *, layer: str, sample_id: str, count: int, row_group: int) -> None:
        self.layer, self.sample_id, self.count, self.row_group = layer, sample_id, count, row_group
        super().__init__(
            where=f"layer {layer!r}, row group {row_group}",
            expected="finite activations",
            found=f"{count} NaN or infinite values, the first in sample {sample_id!r}",
            remedy="Look at this sample and at the network's numerics; nothing of the row group was stored.",
        )


class RangeError(StoreError, ValueError):
    """A value does not fit the storage dtype; `layer`, `sample_id`, `value` and `dtype` say which."""

    def __init__(self, *, layer: str, sample_id: str, value: float, dtype: str, limit: float) -> None:
        self.layer, self.sample_id, self.value, self.dtype, self.limit = layer, sample_id, value, dtype, limit
        super().__init__(
            where=f"layer {layer!r}, sample {sample_id!r}",
            expected=f"values within ±{limit:g} for storage as {dtype}",
            found=f"{value:g}",
            remedy="Store this layer as float32; nothing of the row group was stored.",
        )


class CorruptError(StoreError):
    """A file is missing, cut, changed or not the one that was committed.

    Attributes `representation`, `row_group` (None where a file serves all of them) and `file`.
    """

    def __init__(
        self,
        *,
        representation: str,
        row_group: int | None,
        file: str,
        expected: str,
        found: str,
        remedy: str = REMEDY,
    ) -> None:
        self.representation, self.row_group, self.file = representation, row_group, file
        group = "" if row_group is None else f", row group {row_group}"
        super().__init__(
            where=f"{representation}{group}, file {file}", expected=expected, found=found, remedy=remedy
        )


class SymlinkError(CorruptError):
    """A path inside the store is a symbolic link; a store holds its own bytes and follows none."""

    def __init__(self, *, file: str, target: str) -> None:
        super().__init__(
            representation="store",
            row_group=None,
            file=file,
            expected="regular files and directories only",
            found=f"a symbolic link to {target}",
            remedy="Replace the link by the data itself.",
        )


class UnreachableError(StoreError):
    """The place does not answer, or refuses access; `status` is its HTTP status, None where none came."""

    def __init__(
        self, *, where: str, expected: str, found: str, remedy: str, status: int | None = None
    ) -> None:
        self.status = status
        super().__init__(where=where, expected=expected, found=found, remedy=remedy)
