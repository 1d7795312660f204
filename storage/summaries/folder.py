"""Summaries: named arrays that were computed from representations, each set in one checked file, and their folder.

A summary outlives the activations it was computed from. It is created whole under its key, or not at all, and holds its
own digests (`storage.summaries.format`); what it was computed from stands in its key and its content.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from storage.errors import (
    ArrayNotFoundError,
    CorruptError,
    LayoutError,
    NotFoundError,
    ReadOnlyError,
    StoreError,
    SymlinkError,
    WriteError,
)
from storage.place import COMMITS, asked_again, decode_name, encode_name
from storage.summaries.file import SUFFIX, SummaryFile
from storage.summaries.format import Header, stored_arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from storage.place import Entry, Place

SUMMARIES = f"{COMMITS}/summaries"
"""Where a store's summaries lie: below the root's 0-d array, out of sight of Zarr's readers."""

WORK = "work"
"""The kind of summaries of work in progress: they may be lost, and garbage collection removes old ones."""

_ATTEMPTS = 16


@dataclass(frozen=True, eq=False)
class Summary:
    """What was read of one summary: `content` is JSON, `arrays` those that were asked for, read-only."""

    content: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Summaries:
    """A folder of summaries, ``<kind>/<key>.safetensors``; equal, hashable, picklable.

    Any number of processes may write and read it at once: a file is seen whole or not at all, and of two writers of
    one key the first wins.

    Parameters
    ----------
    place
        A directory or bucket; unfinished files lie below its ``commits/partial``.
    base
        Key of the folder in it; empty where it is all there is.
    mode
        ``"r"`` refuses to write.
    """

    place: Place
    base: str = ""
    mode: Literal["r", "a"] = "a"

    @property
    def url(self) -> str:
        """Where the folder lies."""
        return self.place.path(self.base)

    def write(
        self,
        kind: str,
        key: str,
        arrays: Mapping[str, npt.ArrayLike],
        content: Mapping[str, Any],
        *,
        durable: bool = True,
    ) -> None:
        """Create a summary whole, or find that it is there; never changes one.

        A summary that is there already must have the same content and arrays of the same names, shapes and dtypes.
        Where the values differ, as those of two machines do in their last bits, the first writer's stay.

        Parameters
        ----------
        kind, key
            Any text; together they name the summary. The key should be a digest of all that its values follow from.
        arrays
            Name → values: booleans, integers or real numbers.
        content
            What else is known of it; JSON.
        durable
            Whether it survives power loss when this returns. Only summaries of kind `WORK` may do without: what power
            loss makes of them is found damaged, counts as missing, and is written again.

        Raises
        ------
        ConflictError
            Another summary stands under this key.
        CorruptError
            The one that stands there is damaged (never of kind `WORK`: such is replaced).
        LayoutError
            Values of another kind, a nameless array, or one that must be durable and shall not be.
        SchemaError
            `content` is not JSON.
        ReadOnlyError, WriteError, UnreachableError
            The folder was opened for reading; the place refused.

        Notes
        -----
        Arrays are digested, then written from where they lie: no copy on a disk, unless they are not C-contiguous;
        on an object store the whole file is held in memory. A summary that is there costs the reading of its header,
        and of all of it where the kind is `WORK`.
        """
        self._demand_writable("write")
        if not durable and kind != WORK:
            raise LayoutError(
                where=f"summary {kind}/{key}",
                expected=f"durable=True, or the kind {WORK!r}",
                found="durable=False",
                remedy="Only what may be lost is written without waiting for the disk.",
            )
        stored = stored_arrays(arrays)
        header = Header.of(kind, key, stored, content)
        file = self._file(kind, key)
        for _ in range(_ATTEMPTS):
            if self.place.size(file.key) is None and file.create(header, stored, durable=durable):
                return
            if self._is_there(file, header) and (not durable or self.place.make_durable(file.key)):
                return
        raise WriteError(
            path=file.path,
            n_bytes=header.n_bytes,
            cause=f"somebody who removed it {_ATTEMPTS} times meanwhile",
        )

    def has(self, kind: str, key: str) -> bool:
        """Return whether there is a file of this name; whether it is sound, reading tells."""
        return self.place.size(self._file(kind, key).key) is not None

    def is_whole(self, kind: str, key: str) -> bool:
        """Return whether a summary is there with every array as it was written; of kind `WORK` a damaged one is not.

        Reads all of it, in pieces that are not kept: after a power cut a file of work may have its header and its size,
        and zeros for the rest.

        Raises
        ------
        CorruptError
            It is damaged, and of another kind.
        """
        try:
            asked_again(partial(self._file(kind, key).verify, range))
        except SymlinkError:
            raise
        except NotFoundError:
            return False
        except CorruptError:
            if kind != WORK:
                raise
            return False
        return True

    def read(self, kind: str, key: str, names: Sequence[str] | None = None) -> Summary:
        """Return a summary's content, and its arrays or those of some `names`, each held against its digest.

        Raises
        ------
        NotFoundError
            There is no such summary.
        ArrayNotFoundError
            It holds no such array; this is a `NotFoundError` too.
        CorruptError
            It is damaged; the file is named.

        Notes
        -----
        Reads the header and the ranges of the arrays asked for. Arrays of up to 64 MiB lie in the bytes that were read,
        larger ones are filled piece by piece: nothing is held twice.
        """
        file = self._file(kind, key)
        return asked_again(lambda: Summary(*file.read(names)))

    def read_or_none(self, kind: str, key: str, names: Sequence[str] | None = None) -> Summary | None:
        """Return what `read` does, or None where there is none, or a damaged one of kind `WORK`.

        Raises
        ------
        CorruptError
            It is damaged, and of another kind.
        ArrayNotFoundError
            It holds no such array.
        """
        try:
            return self.read(kind, key, names)
        except (SymlinkError, ArrayNotFoundError):
            raise
        except NotFoundError:
            return None
        except CorruptError:
            if kind != WORK:
                raise
            return None

    def keys(self, kind: str) -> list[str]:
        """Return the keys of the summaries of a kind, sorted.

        Raises
        ------
        CorruptError
            One whose key is longer than a file's name may be is damaged (never of kind `WORK`: such is left out).
        """
        keys = []
        for entry in self.entries(kind):
            key = decode_name(entry.key.rpartition("/")[2].removesuffix(SUFFIX))
            try:
                keys.append(SummaryFile(self.place, entry.key).header().key if key is None else key)
            except NotFoundError:
                continue
            except CorruptError:
                if kind != WORK:
                    raise
        return sorted(keys)

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """Remove summaries; nothing where there is none.

        Raises
        ------
        ReadOnlyError, WriteError, UnreachableError
            The folder was opened for reading; the place refused.
        """
        self._demand_writable("delete")
        for key in keys:
            self.place.remove(self._file(kind, key).key)

    def entries(self, kind: str | None = None) -> Iterator[Entry]:
        """Yield the files of one kind, or of all, in no promised order."""
        folder = self.base if kind is None else self._below(encode_name(kind))
        for entry in self.place.entries(folder):
            below = entry.key.removeprefix(f"{self.base}/") if self.base else entry.key
            if below.count("/") == 1 and below.endswith(SUFFIX):
                yield entry

    def damaged(
        self,
        choose: Callable[[int], Sequence[int]] = range,
        on_summary: Callable[[str, int], None] | None = None,
    ) -> Iterator[tuple[SummaryFile, StoreError]]:
        """Yield the files that are not as they were written, of all kinds but `WORK`, and what is wrong.

        Parameters
        ----------
        choose
            Which of so many arrays of each summary are read; headers and sizes are checked in any case.
        on_summary
            Called with (file, its bytes) after each.
        """
        work = self._below(encode_name(WORK))
        for entry in sorted(self.entries()):
            if entry.key.startswith(f"{work}/"):
                continue
            file = SummaryFile(self.place, entry.key)
            try:
                asked_again(partial(file.verify, choose))
            except NotFoundError:
                continue  # deleted meanwhile
            except StoreError as error:
                yield file, error
            if on_summary is not None:
                on_summary(entry.key, entry.n_bytes)

    def _below(self, name: str) -> str:
        """Return the key of what lies directly in the folder."""
        return f"{self.base}/{name}" if self.base else name

    def _file(self, kind: str, key: str) -> SummaryFile:
        """Return the file of a summary."""
        return SummaryFile(self.place, self._below(f"{encode_name(kind)}/{encode_name(key)}{SUFFIX}"))

    def _is_there(self, file: SummaryFile, wanted: Header) -> bool:
        """Return whether a summary is there as it is wanted; takes a damaged one of kind `WORK` away.

        Raises
        ------
        ConflictError, CorruptError
            See `write`.
        """
        try:
            asked_again(partial(file.demand_same, wanted, whole=wanted.kind == WORK))
        except NotFoundError:
            return False
        except SymlinkError:
            raise
        except CorruptError:
            if wanted.kind != WORK:
                raise
            self.place.remove(file.key)
            return False
        return True

    def _demand_writable(self, action: str) -> None:
        """Refuse to write to a folder opened for reading."""
        if self.mode != "a":
            raise ReadOnlyError(where=self.url, action=f"{action} of a summary")
