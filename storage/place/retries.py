"""Requests to an object store that are made again until they are answered, for a while.

One loop decides for every request, so that a failure is never retried twice over: the client's own retries are
off. Messages name the URL, the status and the store's code, never what else the server or the client said: that
may repeat signed requests.
"""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError, UnauthenticatedError

from storage.errors import FormatError, NotFoundError, StoreError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_WAIT_S = 0.1
"""How long to wait before the second attempt, at most; it doubles with every further one."""

LONGEST_WAIT_S = 10.0
"""Where doubling ends."""

_T = TypeVar("_T")
_STATUS = re.compile(r"returned non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


def persistently(where: str, act: Callable[[], _T], *, retry_timeout_s: float) -> _T:
    """Return what a request gives, made again with exponential back-off and jitter while it may yet succeed.

    Passing failures are those without an answer (refused, reset, timed out, a body cut short) and the statuses
    408, 409, 425, 429, 500, 502, 503, 504. A new attempt begins within `retry_timeout_s` of the first; one is always
    made again, however long the first took. About 12 attempts in a minute against a server that fails at once.

    Raises
    ------
    NotFoundError
        There is no such object.
    UnreachableError
        No answer in time, or one that no repetition changes: forbidden, no such bucket, not supported.
    FormatError
        There are objects whose keys no store gives.
    """
    _RUNTIME.check(where)
    begun, longest = time.monotonic(), FIRST_WAIT_S
    for attempts in count(1):
        try:
            return act()
        except (BaseError, OSError) as caught:
            failure = _failure(caught)
        # outside of the handler: a context would carry the client's own words into logs
        if not failure.passing:
            raise failure.final(where)
        if attempts > 1 and time.monotonic() - begun >= retry_timeout_s:
            raise failure.exhausted(where, attempts, time.monotonic() - begun)
        time.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311
        longest = min(2 * longest, LONGEST_WAIT_S)
    raise AssertionError


@dataclass(frozen=True)
class _Failure:
    """What is kept of a failed attempt: the status, the store's code, and which kind of failure it is."""

    kind: type[Exception]
    status: int | None
    code: str

    @property
    def passing(self) -> bool:
        """Return whether another attempt may succeed."""
        if self.status is None:
            return not issubclass(self.kind, (AlreadyExistsError, InvalidPathError, UnauthenticatedError))
        return self.status in _PASSING

    @property
    def words(self) -> str:
        """Return what came back."""
        if self.status is None:
            return "no whole answer (no connection, or one that was reset, too slow or cut short)"
        return f"HTTP status {self.status}" + (f" ({self.code})" if self.code else "")

    def final(self, where: str) -> StoreError:
        """Return the error for an answer that no repetition changes."""
        if issubclass(self.kind, InvalidPathError):
            return FormatError(
                where=where,
                expected="keys without empty, '.' or '..' segments",
                found="an object with such a key",
                remedy="Another program made it: move it away with the bucket's own tools.",
            )
        if self.status == 404 and self.code != "NoSuchBucket":
            return NotFoundError(
                where=where,
                expected="an object",
                found="none",
                remedy="It was never written, or was removed.",
            )
        return UnreachableError(
            where=where,
            expected="an object store that serves this request",
            found=self.words,
            remedy=_remedy(self.status, self.code),
            status=self.status,
        )

    def exhausted(self, where: str, attempts: int, seconds: float) -> UnreachableError:
        """Return the error for failures that did not pass."""
        return UnreachableError(
            where=where,
            expected="an answer from the object store",
            found=f"{self.words}, {attempts} times in {seconds:.1f} s",
            remedy="Check AWS_ENDPOINT_URL, AWS_REGION and the network, and run again: what is committed stays "
            "valid. STITCHPIPE_S3_RETRY_S sets for how many seconds to try.",
            status=self.status,
        )


def status_of(error: BaseError | OSError) -> int | None:
    """Return the HTTP status of a client's error, which is only in its text; None where no answer came."""
    match = _STATUS.search(str(error))
    return int(match[1]) if match else None


def _failure(error: BaseError | OSError) -> _Failure:
    """Return what is kept of a client's error."""
    code = _CODE.search(str(error))
    status = status_of(error)
    if status is None and isinstance(error, FileNotFoundError):
        status = 404
    if status is None and isinstance(error, PermissionError):
        status = 403
    return _Failure(kind=type(error), status=status, code=code[1] if code else "")


def _remedy(status: int | None, code: str) -> str:
    """Return what to do about an answer that no repetition changes."""
    if status in {401, 403}:
        return (
            "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, and that the bucket's policy "
            "allows GetObject, PutObject, DeleteObject and ListBucket below this prefix."
        )
    if code == "NoSuchBucket":
        return "Check the bucket's name, AWS_ENDPOINT_URL and AWS_REGION, or create the bucket."
    return "Check AWS_ENDPOINT_URL and AWS_REGION, and that the server speaks S3 with conditional writes."


@dataclass
class _Runtime:
    """Remembers which process the client's threads run in: a forked child has none, and would wait for ever."""

    process: int | None = field(default=None)

    def check(self, where: str) -> None:
        """Refuse to go on in a child that was forked after its parent made a request."""
        if self.process is None:
            self.process = os.getpid()
        if self.process != os.getpid():
            raise UnreachableError(
                where=where,
                expected="a process started anew, or forked before its parent used an object store",
                found="one forked afterwards: the client's threads did not come along",
                remedy="Start workers by 'spawn' or 'forkserver' (multiprocessing_context of a data loader).",
            )


_RUNTIME = _Runtime()
