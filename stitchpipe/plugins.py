"""What installed packages add to the product: entry points, found by their group and name.

A package declares, in its ``pyproject.toml``, one table for each group that it adds to::

    [project.entry-points."stitchpipe.models"]
    my_network = "my_package.networks:make"

A room that lets packages add something owns one `Plugins` and says in its own documentation what an entry point of that
group has to be. Nothing is imported before its name is asked for.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from stitchpipe.errors import ExplainedError, named_line, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


MOST_SOURCE_BYTES: Final = 20 << 20
"""Of a package whose sources are digested; those that people write by themselves have far less."""


def entry_points_of(group: str) -> metadata.EntryPoints:
    """Return the entry points of a group, of all packages that are installed now."""
    return _installed(group, tuple((folder, _changed_ns(folder)) for folder in sys.path))


@lru_cache(maxsize=64)
def _installed(group: str, _folders: tuple[tuple[str, int], ...]) -> metadata.EntryPoints:
    """Return the entry points of a group. To read them opens a file for each package; a report asks a hundred times.

    A package that comes or goes changes the folder that it lies in.
    """
    return metadata.entry_points(group=group)


def digest_of_sources(package: str) -> str:
    """Return a digest of all Python files of an importable package or module, which is not imported for it.

    Empty where there are none to be found, or so many that only a library has them: there its version must do.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return ""
    if spec is None:
        return ""
    folders = list(spec.submodule_search_locations or ())
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files += [Path(spec.origin)] if not folders and spec.origin and Path(spec.origin).is_file() else []
    state = [(path, path.stat()) for path in files]
    if sum(status.st_size for _, status in state) > MOST_SOURCE_BYTES:
        return ""
    return _digest_of_files(tuple((str(path), status.st_size, status.st_mtime_ns) for path, status in state))


@lru_cache(maxsize=256)
def _digest_of_files(files: tuple[tuple[str, int, int], ...]) -> str:
    """Return a digest of the bytes of files; their sizes and times are part of the cache's key alone."""
    digest = sha256()
    for path, _, _ in files:
        digest.update(Path(path).name.encode() + b"\0" + sha256(Path(path).read_bytes()).digest())
    return digest.hexdigest()[:12]


def _changed_ns(folder: str) -> int:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


class PluginError(ExplainedError, ValueError):
    """No installed package registers the name, several do, or the one that does cannot be imported."""


@dataclass(frozen=True, slots=True)
class Plugins:
    """The entry points of one group.

    Attributes
    ----------
    group
        Of the entry points, such as ``stitchpipe.models``.
    where
        What a user set to the name, for the messages: ``data.dataset``, ``architecture``.
    error
        The class of what `load` raises, so that a room's errors stay its own.
    """

    group: str
    where: str
    error: type[ExplainedError] = PluginError

    def names(self) -> list[str]:
        """Return the registered names, each once, in alphabetical order."""
        return sorted(self._by_name())

    def provider(self, name: str) -> str | None:
        """Return the package that registers a name and its version, ``"my-package 1.2"``; None where none does.

        Nothing is imported for it. Where no package is known for an entry point it is what it names.
        """
        points = self._by_name().get(name, [])
        made_by = [
            point.value if point.dist is None else f"{point.dist.name} {point.dist.version}"
            for point in points
        ]
        return ", ".join(sorted(made_by)) or None

    def code(self, name: str) -> str | None:
        """Return the package that registers a name with a digest of its sources; None where none does.

        What a number or a network depends on: people work on packages of their own under one version for weeks.
        Nothing is imported for it.
        """
        provider = self.provider(name)
        if provider is None:
            return None
        tops = sorted({point.module.partition(".")[0] for point in self._by_name()[name]})
        return f"{provider}, sources {'.'.join(map(digest_of_sources, tops))}"

    def load(self, name: str) -> Any:
        """Import what is registered under a name and return it.

        Raises
        ------
        error
            No package registers the name (the nearest one is given), packages register different things under it, or
            the import fails: package and reason stand in one line.
        """
        registered = self._by_name()
        if name not in registered:
            known = ", ".join(sorted(registered)) or "none"
            raise self.error(
                where=self.where,
                expected=f"an entry point of the group {self.group}",
                found=f"'{name}', which no installed package registers",
                remedy=f"{nearest(name, registered, most=3) or f'There are: {known}.'} "
                "Is the package installed in this environment?",
            )
        points = registered[name]
        if len(points) > 1:
            raise self.error(
                where=self.where,
                expected=f"one entry point '{name}' in the group {self.group}",
                found=f"{len(points)}: {', '.join(map(_described, points))}",
                remedy="Uninstall all of these packages but one, or rename an entry point.",
            )
        try:
            return points[0].load()
        except Exception as failure:
            raise self.error(
                where=f"entry point '{name}' ({_described(points[0])})",
                expected="an import that works",
                found=named_line(failure),
                remedy="Correct or reinstall the package.",
            ) from failure

    def _by_name(self) -> dict[str, list[metadata.EntryPoint]]:
        """Return name → what is registered under it; the same object registered twice counts once."""
        by_value: dict[str, dict[str, metadata.EntryPoint]] = defaultdict(dict)
        for point in entry_points_of(self.group):
            by_value[point.name].setdefault(point.value, point)
        return {name: list(points.values()) for name, points in by_value.items()}


def _described(point: metadata.EntryPoint) -> str:
    """Return the object that an entry point names, and the package that it belongs to where that is known."""
    return point.value if point.dist is None else f"{point.value} of package {point.dist.name}"


class Named(Protocol):
    """What a registry holds: it knows its own name."""

    @property
    def name(self) -> str:
        """As in sweeps and results."""


Entry = TypeVar("Entry", bound=Named)


class Registry(Generic[Entry]):
    """What the product offers by name: its own entries, and those that installed packages add.

    Parameters
    ----------
    own
        The product's, in the order in which they are listed.
    plugins
        Where packages add theirs.
    kind
        What an entry point must give, under a name that is its own.
    """

    def __init__(self, own: Iterable[Entry], plugins: Plugins, kind: type[Entry]) -> None:
        self.own: Mapping[str, Entry] = {entry.name: entry for entry in own}
        self.plugins, self._kind = plugins, kind
        self._loaded: dict[str, Entry] = {}

    def names(self) -> list[str]:
        """Return every name: our own, then those of packages in alphabetical order; nothing is imported.

        Raises
        ------
        plugins.error
            A package took a name of ours.
        """
        added = self.plugins.names()
        for name in added:
            if name in self.own:
                raise self._refused(name, "a name of its own", "one that the product has itself", "Rename it")
        return [*self.own, *added]

    def all(self) -> list[Entry]:
        """Return every entry. Raises `plugins.error` where a package took a name of ours or cannot be imported."""
        return [self.named(name) for name in self.names()]

    def named(self, name: str) -> Entry:
        """Return the entry of a name; a package is imported when it is first asked for.

        Raises
        ------
        plugins.error
            Nothing has the name (the nearest one is given), a package cannot be imported, or it gives something else.
        """
        if name in self.own:
            return self.own[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def provider(self, name: str) -> str | None:
        """Return the package that adds an entry, and its version; None for one of our own. Nothing is imported."""
        return None if name in self.own else self.plugins.provider(name)

    def code(self, name: str) -> str | None:
        """Return the package that adds an entry, with a digest of its sources; None for one of our own."""
        return None if name in self.own else self.plugins.code(name)

    def _load(self, name: str) -> Entry:
        if name not in self.plugins.names():
            known = self.names()
            raise self.plugins.error(
                where=self.plugins.where,
                expected=f"one of {', '.join(known)}",
                found=f"'{name}'",
                remedy=nearest(name, known)
                or f"A package can add it as an entry point of {self.plugins.group}.",
            )
        entry = self.plugins.load(name)
        if not isinstance(entry, self._kind):
            found = f"a {type(entry).__name__}"
            raise self._refused(name, f"a {self._kind.__module__}.{self._kind.__name__}", found, "Correct it")
        if entry.name != name:
            raise self._refused(name, "the name of the entry point", f"'{entry.name}'", "Rename one of them")
        return entry

    def _refused(self, name: str, expected: str, found: str, remedy: str) -> ExplainedError:
        return self.plugins.error(
            where=f"entry point '{name}' of the group {self.plugins.group} ({self.plugins.provider(name)})",
            expected=expected,
            found=found,
            remedy=f"{remedy} in the package.",
        )
