"""A disk that forgets what was not flushed, for tests that cut the power.

What a file holds is durable when the file was flushed, a name in a directory when the directory was. The store works on
real files all the while; beside them stands what a disk would still know.
"""

import os
import stat
from pathlib import Path

OPERATIONS = ("write", "fsync", "link", "makedirs", "unlink", "rename")


class PowerCut(BaseException):
    """The machine is off: no handler of ours may run to any effect."""


class Disk:
    """Watches a directory through patched functions of `os`; `after` operations later the power is cut.

    `cut_into` builds what a machine finds when it is on again: flushed contents and names as they were, others at
    random whole, in part, as garbage or not at all.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, dict[str, int]] = {}
        self.left, self.count, self.off = 10**9, 0, False
        self.log: list[tuple[str, str]] = []

    def watch(self, monkeypatch, *, after: int) -> None:
        self.left, self.count, self.off, self.log = after, 0, False, []
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))
        opening = os.open

        def opened(path, flags, *rest, **keywords):
            descriptor = opening(path, flags, *rest, **keywords)
            if flags & os.O_CREAT and not self.off:
                self.contents.pop(os.fstat(descriptor).st_ino, None)  # numbers of removed files come again
            return descriptor

        monkeypatch.setattr(os, "open", opened)

    def _concerns(self, target) -> bool:
        path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else target
        return Path(path).is_relative_to(self.root)

    def _wrapped(self, name, original):
        def operation(target, *arguments, **keywords):
            if not self._concerns(target):
                return original(target, *arguments, **keywords)
            if self.off:
                raise PowerCut
            if self.left == 0:
                self.off = True
                raise PowerCut
            self.left -= 1
            self.count += 1
            self.log.append((name, str(arguments[0]) if name == "link" else ""))
            if name == "fsync":
                return self.flush(target)
            return original(target, *arguments, **keywords)

        return operation

    def flush(self, descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self.names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
        else:
            self.contents[found.st_ino] = Path(path).read_bytes()

    def cut_into(self, target: Path, generator) -> Path:
        """Build under `target` one of the states that the disk may be in; return it."""
        self._rebuild(str(self.root), target, generator)
        return target

    def _rebuild(self, source: str, target: Path, generator) -> None:
        target.mkdir()
        flushed = self.names.get(source, {})
        there = {entry.name: entry.inode() for entry in os.scandir(source)} if Path(source).is_dir() else {}
        for name in sorted({*flushed, *there}):
            inode = there.get(name)
            if flushed.get(name) != inode:
                inode = generator.choice([flushed.get(name), inode])
            if inode is None:
                continue
            path = Path(source, name)
            if path.is_dir() or (str(path) in self.names and not path.exists()):  # or was, and was removed
                self._rebuild(str(path), target / name, generator)
            else:
                written = path.read_bytes() if there.get(name) == inode else b""
                (target / name).write_bytes(self._content(inode, written, generator))

    def _content(self, inode: int, written: bytes, generator) -> bytes:
        """Return a file's flushed bytes; where more was written since, any mixture."""
        flushed = self.contents.get(inode)
        if flushed is not None and written in (flushed, b""):
            return flushed
        cut = generator.randrange(len(written) + 1)
        garbage = generator.randbytes(len(written) - cut)
        return generator.choice(
            [
                flushed or b"",
                written[:cut],
                written[:cut] + bytes(len(garbage)),
                written[:cut] + garbage,
                written,
            ]
        )
