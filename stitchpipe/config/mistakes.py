"""Pydantic's list of errors as one message: each mistake of a sweep file once, in its own words.

A misspelt key causes a missing one, and a value of two types is refused twice: what follows from another mistake is
left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.config.key_paths import key_path_of, written_path
from stitchpipe.config.models import ORIGINS, NamedModel
from stitchpipe.config.refusal import ConfigError, RefusalError
from stitchpipe.config.section import written
from stitchpipe.config.writing import inline
from stitchpipe.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic_core import ErrorDetails

    from stitchpipe.config.key_paths import KeyPath
    from stitchpipe.config.section import Section

MOST_LISTED: Final = 20
"""Mistakes that one message shows."""
LONGEST_SHOWN: Final = 100
"""Characters of a refused value that a message repeats."""


TYPES: Final = {
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "path_type": "text in quotes",
}
"""Pydantic's names of types, in the words of TOML."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, and where.

    Attributes
    ----------
    key_path
        Of the key in the file; what stands before ``": "`` is another file that is included.
    """

    key_path: str
    expected: str
    found: str
    remedy: str

    def within(self, where: str) -> ConfigError:
        """Return it as the one error of a file."""
        where = f"{where}, {self.key_path}" if self.key_path else where
        return ConfigError(where=where, expected=self.expected, found=self.found, remedy=self.remedy)

    def inside(self, file: str) -> Mistake:
        """Return it as a mistake of a file that is included."""
        return replace(self, key_path=f"{file}: {self.key_path}")

    def __str__(self) -> str:
        """Return it as a line of a list."""
        return f"{self.key_path or 'the file'}: expected {self.expected}, found {self.found}. {self.remedy}"


def explained(where: str, found: Iterable[Mistake]) -> ConfigError:
    """Return everything that is wrong in a file as one error: a mistake by itself, several as a list."""
    mistakes = list(dict.fromkeys(found))
    if len(mistakes) == 1:
        return mistakes[0].within(where)
    return ConfigError(
        where=where,
        expected="a valid sweep",
        found=f"{len(mistakes)} mistakes",
        remedy="Correct each:" + "".join(f"\n- {line}" for line in _listed(mistakes)),
    )


def _listed(mistakes: Sequence[Mistake]) -> list[str]:
    """Return what the list of a message shows: in a file of a thousand models one slip may be made a thousand times."""
    lines = [str(mistake) for mistake in mistakes[:MOST_LISTED]]
    return lines + [f"… and {len(mistakes) - MOST_LISTED} more"] * (len(mistakes) > MOST_LISTED)


@dataclass
class _Table:
    """The errors about keys of one table."""

    key_path: KeyPath
    unknown: list[ErrorDetails] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def mistakes_of(errors: Sequence[ErrorDetails], root: type[Section]) -> Iterable[Mistake]:
    """Yield mistakes in the order of pydantic's errors about a table, those about the keys of a table together."""
    tables: dict[tuple[int | str, ...], _Table] = {}
    values: dict[tuple[int | str, ...], list[tuple[KeyPath, ErrorDetails]]] = {}
    key_paths = [key_path_of(error["loc"], root) for error in errors]
    for key_path, error in zip(key_paths, errors, strict=True):
        if error["type"] in {"extra_forbidden", "missing"}:
            table = tables.setdefault(key_path.path[:-1], _Table(key_path))
            if error["type"] == "missing":
                table.missing.append(str(key_path.path[-1]))
            else:
                table.unknown.append(error)
        else:
            values.setdefault(key_path.path, []).append((key_path, error))
    for table in tables.values():
        yield from _keys(table, root)
    for path, refused in values.items():
        # A list whose elements are refused is too short for pydantic: that follows.
        if refused[0][1]["type"] != "too_short" or not any(
            _is_within(path, other.path) for other in key_paths
        ):
            yield from _values(refused)


def _is_within(path: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(other) > len(path) and other[: len(path)] == path


def _keys(table: _Table, root: type[Section]) -> Iterable[Mistake]:
    section = table.key_path.table or root
    keys = _Keys(section, table.key_path.kinds, table.missing)
    above = written_path(table.key_path.path[:-1])
    for error in table.unknown:
        key = str(error["loc"][-1])
        yield keys.foreign(key, f"{above}.{key}".lstrip("."))
    if not table.unknown:
        for key in table.missing:
            yield keys.missing(key, f"{above}.{key}".lstrip("."))


@dataclass(frozen=True)
class _Keys:
    """What keys a table may have: its own, and those that it would have if it were of another kind."""

    section: type[Section]
    kinds: Mapping[str, type[Section]]
    absent: Sequence[str]

    def foreign(self, key: str, key_path: str) -> Mistake:
        """Say of a key that the table may not have what it might be, or what it belongs to."""
        own = tuple(self.section.model_fields)
        label = label_of(self.section, self.kinds)
        of_others = {name: takers for name, takers in self._of_others().items() if name not in own}
        if key in of_others:
            belongs = self._labels(of_others[key])
            return Mistake(
                key_path,
                f"keys of {label} ({', '.join(own)})",
                f"`{key}`, which belongs to {belongs}",
                f"Remove it, or change the table to {belongs.replace(' and ', ' or ')}.",
            )
        hint = nearest(key, self.absent) or nearest(key, [*own, *of_others])
        meant = next((name for name in of_others if f"'{name}'" in hint), None)
        if meant is not None:
            hint += f" It belongs to {self._labels(of_others[meant])}."
        if not hint and self.absent:
            hint = f"Did you mean '{self.absent[0]}', which is missing?"
        return Mistake(
            key_path, f"one of the keys {', '.join(own)}", f"the unknown key '{key}'", hint or "Remove it."
        )

    def missing(self, key: str, key_path: str) -> Mistake:
        """Say of a key that the table must have how it is written."""
        declared = self.section.model_fields[key]
        label = label_of(self.section, self.kinds)
        example = f" = {inline(declared.examples[0])}" if declared.examples else ""
        about = f": {declared.description}" if declared.description else "."
        return Mistake(
            key_path,
            f"`{key}`" if not label else f"`{key}`, which {label} needs",
            "none",
            f"Add {key}{example}{about}",
        )

    def _labels(self, takers: Sequence[type[Section]]) -> str:
        *most, last = (label_of(kind, self.kinds) for kind in takers)
        return f"{', '.join(most)} and {last}" if most else last

    def _of_others(self) -> dict[str, list[type[Section]]]:
        found: dict[str, list[type[Section]]] = {}
        for kind in self.kinds.values():
            for key in kind.model_fields:
                found.setdefault(key, []).append(kind)
        return found


def label_of(section: type[Section], kinds: Mapping[str, type[Section]]) -> str:
    """Return how a kind of table is told in a file, as ``kind = 'digits'``; nothing where there are no kinds."""
    tag = next((tag for tag, kind in kinds.items() if kind is section), None)
    if tag is None or len(kinds) == 1:
        return ""
    if issubclass(section, NamedModel):
        return f"`{tag}`"
    return f"{_told_by(kinds)} = '{tag}'"


def _told_by(kinds: Mapping[str, type[Section]]) -> str:
    """Return the key that tells kinds of a table apart."""
    return "method" if all("method" in kind.model_fields for kind in kinds.values()) else "kind"


def _values(refused: Sequence[tuple[KeyPath, ErrorDetails]]) -> Iterable[Mistake]:
    """Yield what is wrong with one value; where it may be of several types, all of them refuse it."""
    key_path, error = refused[0]
    refusal = error.get("ctx", {}).get("error")
    if isinstance(refusal, RefusalError) and len(refused) == 1:
        yield Mistake(str(key_path), refusal.expected, refusal.found, refusal.remedy)
    elif error["type"] in {"union_tag_invalid", "union_tag_not_found"} and isinstance(error["input"], dict):
        yield from _untold(key_path, error["input"])
    elif error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        yield Mistake(str(key_path), "a table", _shown(error["input"]), "Write it as a table.")
    else:
        expected = " or ".join(dict.fromkeys(_expectation(each) for _, each in refused))
        found = _shown(error["input"])
        hint = nearest(str(error["input"]), expected.replace("'", " ").split())
        yield Mistake(str(key_path), expected, found, hint or "Correct the value.")


def _expectation(error: ErrorDetails) -> str:
    refusal = error.get("ctx", {}).get("error")
    if isinstance(refusal, RefusalError):
        return refusal.expected
    if error["type"] in TYPES:
        return TYPES[error["type"]]
    message = error["msg"].removeprefix("Input should be ")
    message = message[0].lower() + message[1:]
    return f"a number {message}" if message.startswith(("greater", "less")) else message


def _shown(value: Any) -> str:
    text = written(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _untold(key_path: KeyPath, table: Mapping[str, Any]) -> Iterable[Mistake]:
    """Yield what is wrong where a table does not say of which kind it is, or names one that there is not."""
    kinds = key_path.variants
    if set(kinds) == set(ORIGINS):
        yield from _without_origin(key_path, table)
        return
    told_by = _told_by(kinds)
    known = ", ".join(map(repr, kinds))
    if told_by in table:
        value = table[told_by]
        yield Mistake(
            f"{key_path}.{told_by}", known, _shown(value), nearest(str(value), kinds) or "Correct the value."
        )
        return
    yield from _misspelt(key_path, table, (told_by,)) or [
        Mistake(f"{key_path}.{told_by}", f"one of {known}", "none", _likeliest(kinds, table, told_by))
    ]


def _misspelt(key_path: KeyPath, table: Mapping[str, Any], absent: Sequence[str]) -> list[Mistake]:
    """Return the keys of a table that no kind has, where it does not say of which kind it is."""
    known = dict.fromkeys(key for kind in key_path.variants.values() for key in kind.model_fields)
    return [
        Mistake(
            f"{key_path}.{key}",
            f"one of the keys {', '.join(known)}",
            f"the unknown key '{key}'",
            nearest(key, absent)
            or nearest(key, known)
            or f"Did you mean {' or '.join(map(repr, absent))}, which is missing?",
        )
        for key in table
        if key not in known
    ]


def _likeliest(kinds: Mapping[str, type[Section]], table: Mapping[str, Any], told_by: str) -> str:
    fitting = [tag for tag, kind in kinds.items() if set(table) <= set(kind.model_fields)]
    return f"Add {told_by} = {' or '.join(map(repr, fitting or kinds))}."


def _without_origin(key_path: KeyPath, table: Mapping[str, Any]) -> Iterable[Mistake]:
    """Yield what is wrong with a model that names no origin, or several."""
    given = [key for key in ORIGINS if table.get(key, False) is not False]
    mistakes = [] if given else _misspelt(key_path, table, tuple(ORIGINS))
    whose = f" for model {table['name']!r}" if "name" in table else ""
    yield from mistakes or [
        Mistake(
            str(key_path),
            "exactly one of `weights` (a file), `pretrained` (published weights), `train` (a table), "
            "`untrained = true`, `object = true` (of `sp.run`), `ingested = true` and `control` (a table)",
            f"{' and '.join(given) or 'none'}{whose}",
            "Load the weights or train them." if not given else "Keep one of them.",
        )
    ]
