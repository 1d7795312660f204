"""Where in a sweep file an error of pydantic's lies: its location is followed from table to table.

A location holds keys and numbers as they stand in the file, and where a table has several kinds a tag that says which
was tried. Only the sections tell tags from keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Tag

from stitchpipe.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class KeyPath:
    """The keys that lead to a value of a sweep file.

    Attributes
    ----------
    path
        Keys and numbers, as they stand in the file.
    table
        The section that the last key of `path` belongs into, of the kind that the file names.
    kinds
        All kinds of that table by their tags; none where there is one kind alone.
    variants
        The kinds that the value itself may be of, by their tags, where it is a table of several kinds.
    """

    path: tuple[int | str, ...]
    table: type[Section] | None
    kinds: Mapping[str, type[Section]]
    variants: Mapping[str, type[Section]]

    def __str__(self) -> str:
        return written_path(self.path)


def written_path(path: Sequence[int | str]) -> str:
    """Return a path as it is written: ``models[0].train.epochs``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def key_path_of(location: Sequence[int | str], root: type[Section]) -> KeyPath:
    """Follow a location from the table of the whole file."""
    here: dict[str, Any] = {"": root}
    path: list[int | str] = []
    table: type[Section] | None = None
    kinds: dict[str, type[Section]] = {}
    around: dict[str, type[Section]] = {}
    for part in location:
        if len(here) > 1:
            if part not in here:
                break
            around, here = _sections(here), _alternatives(here[str(part)], str(part))
            continue
        (inner,) = here.values()
        if isinstance(part, str) and isinstance(inner, type) and issubclass(inner, Section):
            table, kinds, around = inner, around, {}
            here = _alternatives(inner.model_fields[part].annotation) if part in inner.model_fields else {}
        else:
            here = _elements(inner)
        if part == "[key]" or (not here and part != location[-1]):
            break
        path.append(part)
    return KeyPath(tuple(path), table, kinds, _sections(here) if len(here) > 1 else {})


def _alternatives(annotation: Any, tag: str = "") -> dict[str, Any]:
    """Return what a value may be, by the tags by which pydantic tells it apart."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        tags = [item.tag for item in metadata if isinstance(item, Tag)]
        return _alternatives(inner, tags[0] if tags else tag)
    if get_origin(annotation) not in (Union, UnionType):
        return {tag or _own_tag(annotation): annotation}
    found: dict[str, Any] = {}
    for number, choice in enumerate(get_args(annotation)):
        if choice is not NoneType:
            inner = _alternatives(choice)
            found |= inner if len(inner) == 1 else {_tag_of(choice, number): choice}
    return found


def _tag_of(annotation: Any, number: int) -> str:
    tags = [item.tag for item in get_args(annotation)[1:] if isinstance(item, Tag)]
    return tags[0] if tags else str(number)


def _own_tag(annotation: Any) -> str:
    """Return the value of the key that tells a section from its like, or a type's name."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        for field in annotation.model_fields.values():
            if get_origin(field.annotation) is Literal and len(values := get_args(field.annotation)) == 1:
                return str(values[0])
    return str(annotation)


def _sections(alternatives: Mapping[str, Any]) -> dict[str, type[Section]]:
    return {
        tag: choice
        for tag, choice in alternatives.items()
        if isinstance(choice, type) and issubclass(choice, Section)
    }


def _elements(annotation: Any) -> dict[str, Any]:
    """Return what the elements of a list or a table of free keys may be."""
    arguments = get_args(annotation)
    if get_origin(annotation) is tuple:
        return _alternatives(arguments[0])
    return _alternatives(arguments[1]) if get_origin(annotation) is dict else {}
