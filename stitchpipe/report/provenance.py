"""Provenance as sections of a page: what the run was made of, whatever its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stitchpipe.report.tables import Table, table_of


@dataclass(frozen=True, slots=True)
class Section:
    """One subject of the provenance, as a table; `wide` if it has more columns than name and value."""

    name: str
    table: Table
    wide: bool


def sections(provenance: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return the subjects of a provenance mapping.

    A mapping of mappings (models by name, say) becomes one row per name and one column per fact; a mapping of values
    one row per fact. Plain values at the top make a section of their own.
    """
    plain = {key: value for key, value in provenance.items() if not isinstance(value, Mapping)}
    subjects = [(key, value) for key, value in provenance.items() if isinstance(value, Mapping) and value]
    if plain:
        subjects.append(("run", plain))
    tables = {_words(name): table_of(_frame(value)) for name, value in subjects}
    return tuple(Section(name, table, len(table.columns) > 2) for name, table in tables.items())


def _frame(facts: Mapping[str, Any]) -> pd.DataFrame:
    nested = [value for value in facts.values() if isinstance(value, Mapping)]
    if nested and len(nested) == len(facts):
        rows = [
            {"": name, **{_words(k): _text(v) for k, v in inner.items()}} for name, inner in facts.items()
        ]
    else:
        rows = [{"": _words(name), " ": _text(value)} for name, value in facts.items()]
    return pd.DataFrame(rows, dtype=object)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{_words(key)} {_text(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _words(name: object) -> str:
    return str(name).replace("_", " ")
