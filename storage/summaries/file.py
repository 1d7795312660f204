"""The file of one summary: written whole; read by header and ranges, each held against its digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from storage.errors import ArrayNotFoundError, ConflictError
from storage.place import encode_name
from storage.summaries.format import Header, bytes_of, damaged, digest_of_values, header_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from storage.place import Place
    from storage.summaries.format import ArrayEntry

SUFFIX = ".safetensors"

FIRST_BYTES = 1 << 16
"""What is read first: the header, and with it the arrays of a small summary, in one request."""

PIECE_BYTES = 1 << 26
"""Larger arrays are read in pieces of this size into their place."""


@dataclass(frozen=True)
class SummaryFile:
    """The file under `key`, ``…/<kind>/<key>.safetensors``."""

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
            for entry in header.order:
                staged.write(bytes_of(stored[entry.name]))
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
        """Return content and arrays; see `storage.Summaries.read`."""
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
        small = [name for name in wanted if entries[name].n_bytes <= PIECE_BYTES]
        data = self._ranges([header.spans[name] for name in small], block)
        arrays = {name: self._viewed(entries[name], held) for name, held in zip(small, data, strict=True)}
        for name in set(wanted) - set(small):
            arrays[name] = self._filled(entries[name], header.spans[name])
        return header.content, {name: arrays[name] for name in wanted}

    def verify(self, choose: Callable[[int], Sequence[int]]) -> int:
        """Hold the file's size, its header and some of its arrays against their digests; return the bytes of the file.

        `choose` returns which of so many arrays are read.

        Raises
        ------
        NotFoundError, CorruptError
            As `header`; or an array is damaged, or the file has another size.
        """
        header, _ = self._opened()
        size = self.place.size(self.key)
        if size != header.n_bytes:
            raise damaged(self.path, f"{header.n_bytes} bytes", f"{size or 0} bytes")
        for number in choose(len(header.arrays)):
            entry = header.arrays[number]
            digest = xxhash.xxh3_128()
            for data in self._pieces(header.spans[entry.name]):
                digest.update(data)
            self._demand_digest(entry, digest.hexdigest())
        return header.n_bytes

    def _opened(self) -> tuple[Header, bytes]:
        """Return the header, and the bytes that were read with it."""
        (block,) = self.place.read_ranges(self.key, [(0, FIRST_BYTES)])
        stop = header_stop(block)
        if stop is not None and stop > len(block) == FIRST_BYTES:
            block += self.place.read_ranges(self.key, [(FIRST_BYTES, stop)])[0]
        header = Header.from_bytes(block, self.path)
        if not self.key.endswith(f"{encode_name(header.kind)}/{encode_name(header.key)}{SUFFIX}"):
            raise damaged(self.path, "the summary of this name", f"that of {header.kind}/{header.key}")
        return header, block

    def _ranges(self, spans: Sequence[tuple[int, int]], block: bytes) -> list[memoryview]:
        """Return the bytes of spans, out of the beginning of the file where it holds them; the rest in one request."""
        missing = [span for span in spans if span[1] > len(block)]
        fetched = iter(self.place.read_ranges(self.key, missing) if missing else ())
        return [
            memoryview(block)[start:stop] if stop <= len(block) else memoryview(next(fetched))
            for start, stop in spans
        ]

    def _pieces(self, span: tuple[int, int]) -> Iterator[memoryview]:
        """Yield the bytes of a span, piece by piece."""
        start, stop = span
        for begin in range(start, stop, PIECE_BYTES):
            piece = (begin, min(begin + PIECE_BYTES, stop))
            yield memoryview(self.place.read_ranges(self.key, [piece])[0])

    def _viewed(self, entry: ArrayEntry, data: memoryview) -> npt.NDArray[Any]:
        """Return an array that lies in the bytes that were read, read-only."""
        self._demand_digest(entry, digest_of_values(data))
        return np.frombuffer(data, np.uint8).view(entry.dtype).reshape(entry.shape)

    def _filled(self, entry: ArrayEntry, span: tuple[int, int]) -> npt.NDArray[Any]:
        """Return a large array, filled piece by piece, read-only: it is never held twice."""
        values = np.empty(entry.shape, entry.dtype)
        flat, at, digest = values.reshape(-1).view(np.uint8), 0, xxhash.xxh3_128()
        for data in self._pieces(span):
            flat[at : at + len(data)] = np.frombuffer(data, np.uint8)
            digest.update(data)
            at += len(data)
        self._demand_digest(entry, digest.hexdigest())
        values.flags.writeable = False
        return values

    def _demand_digest(self, entry: ArrayEntry, digest: str) -> None:
        """Refuse values that are not those that were written; bytes that are missing are found so too."""
        if digest != entry.digest:
            raise damaged(self.path, f"the array {entry.name!r} with the digest {entry.digest}", digest)
