"""Files that fit a glob, in folders or buckets, and what their names and headers say about the network in them."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.errors import nearest
from stitchpipe.zoo.errors import NothingFitsError, UnreadableError
from storage import StoreError, open_place, place_and_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST_HEADER_BYTES: Final = 16 << 20
_AT_ONCE: Final = 16
"""Headers that are read at a time: in a bucket each is a round trip."""
_WILD: Final = re.compile(r"[*?\[{]")
_GROUP: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_PART: Final = re.compile(r"\{[A-Za-z_]\w*\}|\[!?[^\]]+\]|.", re.DOTALL)
"""A part of a step: a named group, a set of characters, or one character."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A file or folder that fits a glob.

    Attributes
    ----------
    location
        Its absolute path or URL.
    label
        What tells it from others that fit the same glob: its path from the first step with a wildcard to the last,
        without the ending.
    groups
        What stands in its path where the glob has ``{NAME}``.
    """

    location: str
    label: str
    groups: Mapping[str, str]


def is_glob(text: str) -> bool:
    """Return whether a path has wildcards: ``*``, ``?``, ``[…]``, or ``{NAME}`` for a part that is to be known."""
    return _WILD.search(text) is not None


def fitting(glob: str, folder: Path, *, folders: bool = False) -> list[Checkpoint]:
    """Return the files that fit a glob, sorted by their paths.

    ``*`` and ``?`` stay within a step of the path, ``**`` is any number of steps, ``{NAME}`` is ``*`` with a name.
    Hidden files fit nothing.

    Parameters
    ----------
    folder
        Where relative globs start.
    folders
        Whether folders of Hugging Face (with a ``config.json``) are wanted instead of files.

    Raises
    ------
    NothingFitsError
        None does, or the place cannot be listed.

    Notes
    -----
    Lists everything below the steps before the first wildcard: in a bucket a request for every thousand keys.
    """
    root, steps = _divided(glob, folder)
    pattern = _pattern(steps)
    there = _listed(root, steps, folders=folders)
    found = []
    for path in there:
        match = pattern.fullmatch(path)
        if match is not None and not any(step.startswith(".") for step in path.split("/")):
            location = f"{root}/{path}" if path else root
            found.append(Checkpoint(location, _label(path, steps), match.groupdict()))
    if not found:
        raise _nothing(glob, root, there, folders=folders)
    return found


def described(checkpoints: Sequence[Checkpoint]) -> list[tuple[str, dict[str, Any]] | None]:
    """Return the architecture and options that the headers of safetensors files name, or None where one names none.

    A header's metadata are ``architecture``, as in a sweep, and ``options``, a JSON object as text.

    Raises
    ------
    UnreadableError
        A file cannot be read, or its options are no JSON object.

    Notes
    -----
    Reads the headers alone, sixteen at a time.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(_described, [checkpoint.location for checkpoint in checkpoints]))


def _divided(glob: str, folder: Path) -> tuple[str, list[str]]:
    """Return the place that a glob starts at, without wildcards, and its steps from there."""
    scheme, mark, rest = glob.rpartition("://")
    steps = (rest if mark else glob).split("/")
    first = next((number for number, step in enumerate(steps) if _WILD.search(step)), len(steps) - 1)
    base = "/".join(steps[:first])
    if mark:
        return f"{scheme}{mark}{base}", steps[first:]
    path = Path(base or ("/" if glob.startswith("/") else "."))
    return str((folder / path.expanduser()).resolve()), steps[first:]


def _pattern(steps: Sequence[str]) -> re.Pattern[str]:
    written = "".join("(?:[^/]+/)*" if step == "**" else f"{_step(step)}/" for step in steps)
    return re.compile(written.removesuffix("/") if steps[-1] != "**" else written + "[^/]*")


def _step(step: str) -> str:
    """Return one step of a glob as a regular expression that does not leave the step."""
    return "".join(_translated(part) for part in _PART.findall(step))


def _translated(part: str) -> str:
    if part == "*":
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if _GROUP.fullmatch(part):
        return f"(?P<{part[1:-1]}>[^/]+)"
    if len(part) > 1:
        negated = part[1] == "!"
        chosen = part[1 + negated : -1].replace("\\", r"\\").replace("^", r"\^")
        return f"[{'^' * negated}{chosen}]"
    return re.escape(part)


def _listed(root: str, steps: Sequence[str], *, folders: bool) -> list[str]:
    """Return what lies below a place, as paths from there, as deep as the glob can reach."""
    if "://" in root:
        try:
            place = open_place(root)
            return sorted(entry.key for entry in place.entries())
        except StoreError as error:
            raise NothingFitsError(
                where=root,
                expected="a place whose files can be listed",
                found=error.found,
                remedy=error.remedy,
            ) from error
    home = Path(root)
    star = "/".join(_GROUP.sub("*", step) for step in steps)
    paths = (path for path in home.glob(star) if (path / "config.json").is_file() or not folders)
    return sorted(str(path.relative_to(home).as_posix()) for path in paths if folders or path.is_file())


def _label(path: str, steps: Sequence[str]) -> str:
    """Return a path up to the last step with a wildcard, without an ending that is the same for all."""
    kept = path.split("/")
    if "**" not in steps:
        last = max(
            (number for number, step in enumerate(steps) if _WILD.search(step)), default=len(steps) - 1
        )
        if last < len(steps) - 1:
            return "/".join(kept[: last + 1])
    ending = Path(steps[-1]).suffix
    name = kept[-1].removesuffix(ending) if ending and not _WILD.search(ending) else kept[-1]
    return "/".join([*kept[:-1], name])


def _nothing(glob: str, root: str, there: Sequence[str], *, folders: bool) -> NothingFitsError:
    what = "folder of Hugging Face (with a config.json)" if folders else "file"
    if "://" in root:
        found, near = "none", nearest(glob.rpartition("/")[2], [path.rpartition("/")[2] for path in there])
    elif not Path(root).is_dir():
        home = Path(root)
        above = [entry.name for entry in home.parent.iterdir()] if home.parent.is_dir() else []
        found, near = f"no folder {root}", nearest(home.name, above)
    else:
        names = [entry.name for entry in sorted(Path(root).iterdir()) if not entry.name.startswith(".")]
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        found = f"none in {root}, which holds {shown or 'nothing'}"
        near = nearest(glob.rpartition("/")[2].strip("*?"), names)
    return NothingFitsError(
        where=f"'{glob}'",
        expected=f"at least one {what} that fits",
        found=found,
        remedy=near
        or "Correct the path; relative ones start at the sweep file. Libraries are torchvision:, timm:, "
        "hf: and installed:.",
    )


def _described(location: str) -> tuple[str, dict[str, Any]] | None:
    if not location.lower().endswith(".safetensors"):
        return None
    place, name = place_and_key(location)
    try:
        (start,) = place.read_ranges(name, [(0, 8)])
        size = int.from_bytes(start, "little")
        if not 2 <= size <= LARGEST_HEADER_BYTES:
            raise ValueError(f"a header of {size} bytes")
        (written,) = place.read_ranges(name, [(8, 8 + size)])
        said = json.loads(written).get("__metadata__") or {}
        options = json.loads(said.get("options", "{}"))
        if not isinstance(options, dict):
            raise TypeError("options that are no object")
    except (StoreError, ValueError, AttributeError, TypeError) as error:
        raise UnreadableError(
            where=location,
            expected="the header of a safetensors file",
            found=str(error).partition("\n")[0],
            remedy="Is the file complete?",
        ) from error
    return (str(said["architecture"]), options) if "architecture" in said else None
