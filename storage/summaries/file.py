"""The file of one summary: written whole; read by header and ranges, each held against its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from storage.errors import ArrayNotFoundError, ConflictError
from storage.place import encode_name
from storage.summaries.format import Header, bytes_of, damaged, padding, record_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from storage.place import Place
    from storage.summaries.format import ArrayEntry

SUFFIX = ".summary"

FIRST_BYTES = 1 << 16
"""What is read first: the header, and with it the arrays of a small summary, in one request."""

PIECE_BYTES = 1 << 26
"""Larger arrays are read in pieces of this size into their place."""


@dataclass(frozen=True)
class SummaryFile:
    """The file under `key`, ``…/<kind>/<key>.summary``."""

    place: Place
    key: str

    @property
    def path(self) -> str:
        """How people name it."""
        return self.place.path(self.key)

    def create(self, header: Header, stored: Mapping[str, npt.NDArray[Any]], *, durable: bool) -> bool:
        """Create the file out of arrays as `stored_arrays` gives them, unless there is one; return whether it was made.

        Raises
        ------
        WriteError, UnreachableError
            The place refused.
        """
        with self.place.stage(self.key) as staged:
            staged.write(header.head)
            for values in stored.values():
                staged.write(bytes_of(values))
                if behind := padding(values.nbytes):
                    staged.write(bytes(behind))
            return staged.commit(durable=durable)

    def demand_same(self, wanted: Header, *, whole: bool) -> None:
        """Refuse a file of other content or other arrays, not of other values; `whole` checks its arrays too.

        Raises
        ------
        ConflictError
            It is another summary.
        NotFoundError, CorruptError
            See `header`, `verify`.
        """
        if whole:
            self.verify(range)
        differing = self.header().differences(wanted)
        if differing:
            raise ConflictError(
                where=self.path,
                expected="the same summary as now, or none",
                found=f"another one: it differs in {', '.join(differing)}",
                remedy="Name what differs in the key, or delete the one that is there.",
            )

    def header(self) -> Header:
        """Return the header, found to be whole, and that of this file.

        Raises
        ------
        NotFoundError
            There is no such file.
        CorruptError
            It is damaged, or belongs elsewhere.
        """
        return self._opened()[0]

    def read(self, names: Sequence[str] | None) -> tuple[Mapping[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return content and arrays; see `storage.summaries.folder.Summaries.read`."""
        header, block = self._opened()
        entries = {entry.name: entry for entry in header.arrays}
        wanted = list(entries) if names is None else list(names)
        unknown = [name for name in wanted if name not in entries]
        if unknown:
            raise ArrayNotFoundError(
                where=self.path,
                expected=f"an array {unknown[0]!r}",
                found=f"those of {', '.join(entries) or 'no name'}",
                remedy="Ask for one of these.",
            )
        spans = header.spans()
        return header.content, {name: self._array(entries[name], spans[name], block) for name in wanted}

    def verify(self, choose: Callable[[int], Sequence[int]]) -> int:
        """Hold the file's size, its header and some of its arrays against their digests; return the bytes of the file.

        `choose` returns which of so many arrays are read.

        Raises
        ------
        NotFoundError, CorruptError
            As `header`; or an array is damaged, or the file has another size.
        """
        header, block = self._opened()
        size = self.place.size(self.key)
        if size != header.n_bytes:
            raise damaged(self.path, f"{header.n_bytes} bytes", f"{size or 0} bytes")
        spans = header.spans()
        for number in choose(len(header.arrays)):
            entry = header.arrays[number]
            digest = xxhash.xxh3_128()
            for data in self._pieces(entry, spans[entry.name], block):
                digest.update(data)
            self._demand_digest(entry, digest.hexdigest())
        return header.n_bytes

    def _opened(self) -> tuple[Header, bytes]:
        """Return the header, and the bytes that were read with it."""
        (block,) = self.place.read_ranges(self.key, [(0, FIRST_BYTES)])
        stop = record_stop(block)
        if stop is not None and stop + padding(stop) > len(block) == FIRST_BYTES:
            block += self.place.read_ranges(self.key, [(FIRST_BYTES, stop + padding(stop))])[0]
        header = Header.from_bytes(block, self.path)
        if not self.key.endswith(f"{encode_name(header.kind)}/{encode_name(header.key)}{SUFFIX}"):
            raise damaged(self.path, "the summary of this name", f"that of {header.kind}/{header.key}")
        return header, block

    def _array(self, entry: ArrayEntry, span: tuple[int, int], block: bytes) -> npt.NDArray[Any]:
        """Return one array, read-only; `block` is the beginning of the file."""
        pieces = self._pieces(entry, span, block)
        if entry.n_bytes <= PIECE_BYTES:
            data = next(pieces, memoryview(b""))
            self._demand_digest(entry, xxhash.xxh3_128(data).hexdigest())
            return np.frombuffer(data, np.uint8).view(entry.dtype).reshape(entry.shape)
        values = np.empty(entry.shape, entry.dtype)
        flat, at, digest = values.reshape(-1).view(np.uint8), 0, xxhash.xxh3_128()
        for data in pieces:
            flat[at : at + len(data)] = np.frombuffer(data, np.uint8)
            digest.update(data)
            at += len(data)
        self._demand_digest(entry, digest.hexdigest())
        values.flags.writeable = False
        return values

    def _pieces(self, entry: ArrayEntry, span: tuple[int, int], block: bytes) -> Iterator[memoryview]:
        """Yield the bytes of an array, found to end in zeros where they are padded."""
        stop = span[0] + entry.n_bytes
        for start in range(span[0], stop, PIECE_BYTES):
            last = start + PIECE_BYTES >= stop
            end = span[1] if last else start + PIECE_BYTES
            data = memoryview(block)[start:end] if end <= len(block) else self._range(start, end)
            values = data[: stop - start]
            if len(data) != end - start or any(data[len(values) :]):
                found = f"an end after {start + len(data)}" if len(data) != end - start else "other bytes"
                raise damaged(
                    self.path, f"zeros behind the array {entry.name!r}, up to byte {span[1]}", found
                )
            yield values

    def _range(self, start: int, stop: int) -> memoryview:
        """Return a range of the file's bytes."""
        return memoryview(self.place.read_ranges(self.key, [(start, stop)])[0])

    def _demand_digest(self, entry: ArrayEntry, found: str) -> None:
        """Refuse values that are not those that were written."""
        if found != entry.digest:
            raise damaged(self.path, f"the array {entry.name!r} with the digest {entry.digest}", found)
