"""What a disk is asked for, so that files and directories survive power loss; each flush is awaited."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from storage.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator


def open_unfollowed(path: str, flags: int) -> int:
    """Open for reading, but neither a symbolic link nor, for ever, a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def append(path: str, data: bytes | memoryview, *, new: bool) -> None:
    """Append all bytes to a file, which is made where it is `new`."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def sync_file(path: str) -> None:
    """Wait until a file's bytes are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_durable(path: str) -> None:
    """Make a directory and those above it that are not there, each durable before one is made in it.

    One that is there may be a moment old: its name is made durable too, where its parent may be opened.
    """
    parent = os.path.dirname(path)  # noqa: PTH120
    if os.path.isdir(path):  # noqa: PTH112
        with suppress(PermissionError):
            sync_directory(parent)
        return
    make_durable(parent)
    os.makedirs(path, exist_ok=True)  # noqa: PTH103
    sync_directory(parent)


def sync_directory(path: str) -> None:
    """Wait until a directory's entries are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def refusals(path: str, n_bytes: int) -> Iterator[None]:
    """Turn what the file system says into an error with a remedy."""
    try:
        yield
    except OSError as error:
        raise WriteError(path=path, n_bytes=n_bytes, cause=error) from error
