"""A store in a bucket of an object store that speaks S3 and honours ``If-None-Match: *``.

Credentials, endpoint and region come from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_SESSION_TOKEN``, ``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ALLOW_HTTP``) and nowhere else; they are read when
a place is first used in a process, and are part of no URL, message or pickle.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store

from storage.errors import NotFoundError, UnreachableError, WriteError
from storage.place.bucket_urls import parse_bucket_url
from storage.place.contract import COMMITS, PARTIAL, QUARANTINE, Entry
from storage.place.retries import persistently, status_of
from storage.place.staging import StagedInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self, TypeVar

    from storage.place.contract import Staged

    _T = TypeVar("_T")

PAGE = 1000
"""Keys per listing request, as many as S3 gives."""

RETRY_TIMEOUT_S = 60.0
"""For how long a request is made again, unless ``STITCHPIPE_S3_RETRY_S`` says otherwise."""

_WRITER = "writer"
_NOT_EXCLUSIVE = (
    "Use a server that honours 'If-None-Match: *' on PUT, as S3 does: without it two writers overwrite each other. "
    "Nothing was left behind."
)


@dataclass(frozen=True)
class BucketPlace:
    """A bucket, or what lies below a prefix of it, as a write-once key–value store: a `storage.place.contract.Place`.

    Make it with `BucketPlace.at`. Equal and hashable by `url`; picklable: the client is made anew in every process.
    A child forked after its parent made a request is refused with a clear error, because the client's threads do not
    survive a fork.

    Parameters
    ----------
    url
        ``s3://bucket/prefix`` in its one spelling.
    retry_timeout_s
        For how long after its first attempt a request is made again.
    request_timeout_s
        Longest time of one attempt, from connection to the end of its body.
    """

    url: str
    retry_timeout_s: float = field(default=RETRY_TIMEOUT_S, compare=False, repr=False)
    request_timeout_s: float = field(default=300.0, compare=False, repr=False)

    @classmethod
    def at(cls, url: str, *, retry_timeout_s: float | None = None, request_timeout_s: float = 300.0) -> Self:
        """Return the place an URL names; makes no request.

        Raises
        ------
        FormatError
            No URL of a bucket and prefix, or one with credentials in it.
        """
        bucket, prefix = parse_bucket_url(url)
        if retry_timeout_s is None:
            retry_timeout_s = float(os.environ.get("STITCHPIPE_S3_RETRY_S", RETRY_TIMEOUT_S))
        return cls(
            url=f"s3://{bucket}/{prefix}".rstrip("/"),
            retry_timeout_s=retry_timeout_s,
            request_timeout_s=request_timeout_s,
        )

    def __getstate__(self) -> dict[str, object]:
        """Pickle the place only: the client and what it read from the environment stay here."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def _client(self) -> S3Store:
        """Return this process's client. Its own retries are off: `persistently` decides for all requests."""
        bucket, _ = parse_bucket_url(self.url)
        return S3Store(
            bucket,
            config={"conditional_put": "etag", "disable_bulk_delete": True},
            client_options={
                # given options replace those of the environment, so this one is carried over
                "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true", "yes", "on"},
                "connect_timeout": timedelta(seconds=min(5.0, self.request_timeout_s)),
                "timeout": timedelta(seconds=self.request_timeout_s),
            },
            retry_config={"max_retries": 0},
        )

    def _object(self, key: str) -> str:
        """Return the bucket's key of one of our keys."""
        prefix = parse_bucket_url(self.url)[1]
        return "/".join(part for part in (prefix, key) if part)

    def _persist(self, key: str, act: Callable[[], _T]) -> _T:
        """Make a request about a key until it is answered."""
        return persistently(self.path(key), act, retry_timeout_s=self.retry_timeout_s)

    def path(self, key: str) -> str:
        """Return the URL of a key."""
        return f"{self.url}/{key}" if key else self.url

    def read(self, key: str) -> bytes:
        """Return an object's bytes, whole: an answer cut short is asked for again. See `Place.read`.

        Altered bytes are not told here; digests above do that.
        """
        return self._persist(key, lambda: bytes(obstore.get(self._client, self._object(key)).bytes()))

    def read_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range, short where the object ends before. See `Place.read_ranges`.

        Neighbouring ranges are fetched as one, distant ones side by side; one request more for the size, because
        the client aborts on ranges that begin behind the end.
        """
        total = self._metadata(key)["size"]
        cut = [(start, min(stop, total)) for start, stop in ranges]
        asked = [(start, stop) for start, stop in cut if start < stop]
        if not asked:
            return [b""] * len(ranges)
        starts, ends = [start for start, _ in asked], [stop for _, stop in asked]

        def attempt() -> list[bytes]:
            parts = obstore.get_ranges(self._client, self._object(key), starts=starts, ends=ends)
            return [bytes(part) for part in parts]

        fetched = iter(self._persist(key, attempt))
        return [next(fetched) if start < stop else b"" for start, stop in cut]

    def _metadata(self, key: str) -> Any:
        """Return what the store knows about an object."""
        return self._persist(key, lambda: obstore.head(self._client, self._object(key)))

    def size(self, key: str) -> int | None:
        """Return an object's bytes, or None where there is none (or no bucket: a HEAD does not say which)."""
        version = self.version(key)
        return None if version is None else int(version[1])

    def version(self, key: str) -> tuple[int | str, ...] | None:
        """Return the entity tag and size of an object, or None where there is none."""
        try:
            known = self._metadata(key)
        except NotFoundError:
            return None
        return (known["e_tag"] or known["last_modified"].isoformat(), known["size"])

    def directories(self, key: str = "") -> list[str]:
        """Return the names directly below a key that have keys below them, sorted, without `COMMITS`."""
        prefix = self._object(key) or None
        listing = self._persist(key, lambda: obstore.list_with_delimiter(self._client, prefix))
        return sorted({path.rsplit("/", 1)[-1] for path in listing["common_prefixes"]} - {COMMITS})

    def files(self, key: str = "") -> list[Entry]:
        """Return the objects directly below a key, sorted. See `Place.files`."""
        prefix = self._object(key) or None
        listing = self._persist(key, lambda: obstore.list_with_delimiter(self._client, prefix))
        return sorted(self._entry(known) for known in listing["objects"])

    def _entry(self, known: Any) -> Entry:
        """Return what a listing says of an object, under our key."""
        root = f"{parse_bucket_url(self.url)[1]}/".lstrip("/")
        return Entry(known["path"].removeprefix(root), known["size"], known["last_modified"].timestamp())

    def entries(self, key: str = "") -> Iterator[Entry]:
        """Yield every object at any depth below a key, in the order of keys; a page of 1000 per request."""
        after, full = None, True
        while full:
            page = self._page(key, after)
            yield from map(self._entry, page)
            full = len(page) == PAGE
            after = page[-1]["path"] if page else None

    def _page(self, key: str, after: str | None) -> Sequence[Any]:
        """Return up to `PAGE` objects below a key whose keys in the bucket come after one."""
        prefix = self._object(key) or None
        return self._persist(
            key, lambda: next(obstore.list(self._client, prefix, offset=after, chunk_size=PAGE), [])
        )

    def create(self, key: str, data: bytes) -> bool:
        """Create an object whole and durable, unless its key is taken; return whether this call made it.

        Each call marks its object with a token of its own (metadata ``writer``). "Taken" (412) as the first answer
        means that somebody else was first. After an attempt whose answer was lost it may mean ourselves: the token
        of what is there decides, or, where the server keeps no metadata, whether its bytes are ours.

        Raises
        ------
        UnreachableError
            The place does not answer, or refuses access.

        Notes
        -----
        One PUT: at most 5 GiB on S3.
        """
        token = uuid.uuid4().hex
        unsure = False

        def attempt() -> bool:
            nonlocal unsure
            try:
                attributes = {_WRITER: token}
                obstore.put(
                    self._client,
                    self._object(key),
                    data,
                    mode="create",
                    attributes=attributes,
                    use_multipart=False,
                )
            except AlreadyExistsError as error:
                if status_of(error) == 409:
                    raise  # a conflict with a request under way: the client calls it so, but the key may be free
                return False
            except BaseException:
                unsure = True
                raise
            return True

        while True:
            made = self._persist(key, attempt)
            if made or not unsure:
                return made
            try:
                return self._persist(key, lambda: self._made_by(key, token, data))
            except NotFoundError:
                continue  # maintenance took it away in between: the key is free again

    def _made_by(self, key: str, token: str, data: bytes) -> bool:
        """Return whether the object that is there was made by the call with this token."""
        there = obstore.get(self._client, self._object(key))
        writer = there.attributes.get(_WRITER)
        return writer == token if writer is not None else bytes(there.bytes()) == data

    def replace(self, key: str, data: bytes) -> None:
        """Give a key these bytes, whatever it held before: one PUT. See `Place.replace`."""
        where = self._object(key)
        self._persist(key, lambda: obstore.put(self._client, where, data, use_multipart=False))

    def stage(self, key: str) -> Staged:
        """Begin an object that is written in parts; they are kept in memory until it is committed."""
        return StagedInMemory(partial(self.create, key))

    def make_durable(self, key: str) -> bool:
        """Return whether an object is there: it is durable once it is."""
        return self.version(key) is not None

    def remove(self, key: str) -> None:
        """Remove an object; nothing where there is none. For maintenance alone."""
        try:
            self._persist(key, lambda: obstore.delete(self._client, self._object(key)))
        except NotFoundError:
            return

    def quarantine(self, key: str) -> str:
        """Move an object below `QUARANTINE` and return its new key; its bytes pass through memory.

        It is removed only when its bytes lie, confirmed, under the new key. A key quarantined before with other
        bytes keeps them; the new one gets ``~1``, ``~2``, … behind its name.
        """
        data = self.read(key)
        moved, turn = f"{QUARANTINE}/{key}", 0
        while not self.create(moved, data) and self.read(moved) != data:
            turn += 1
            moved = f"{QUARANTINE}/{key}~{turn}"
        self.remove(key)
        return moved

    def preflight(self) -> None:
        """Create, create again with other bytes (must be refused), read back, remove. See `Place.preflight`.

        Raises
        ------
        WriteError
            The server does not create exclusively.
        UnreachableError
            The place does not answer, or refuses access.
        """
        key, first, second = f"{PARTIAL}/preflight-{uuid.uuid4().hex}", b"first", b"second writer"
        try:
            made = self.create(key, first)
        except UnreachableError as error:
            if error.status != 501:
                raise
            made = False  # "not implemented": the server knows that it cannot
        try:
            exclusive = made and not self.create(key, second) and self.read(key) == first
        finally:
            self.remove(key)
        if not exclusive:
            raise WriteError(
                path=self.path(key),
                n_bytes=len(first),
                cause="a second creation of one key that was not refused",
                remedy=_NOT_EXCLUSIVE,
            )

    def free_bytes(self) -> int | None:
        """Return None: a bucket has no room to run out of."""
        return None
