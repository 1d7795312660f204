"""The tables and keys of a sweep file as Markdown, from the JSON schema behind `stitchpipe schema`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stitchpipe.config import sweep_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

WORDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "`true` or `false`"}


def sections() -> str:
    """Write one section for the top of the file, then one for each table or kind of table, from above to below."""
    schema = sweep_schema()
    page = _Page(schema["definitions"])
    return "\n".join([*page.section("The top of the file", schema), *page.rest()])


@dataclass
class _Page:
    """The tables that were met, each with the title under which a sweep file writes it."""

    definitions: dict[str, Any]
    titles: dict[str, str] = field(default_factory=dict)

    def section(self, title: str, table: dict[str, Any], path: str = "") -> Iterator[str]:
        yield from (
            f"### {title}",
            "",
            *_about(table),
            "| key | values | default | meaning |",
            "|---|---|---|---|",
        )
        for key, value in table["properties"].items():
            names = list(_references(value))
            for name in names:
                self.titles.setdefault(name, self._title(name, names, f"{path}{key}", value))
            about = value.get("description") or (_text(self.definitions[names[0]]) if len(names) == 1 else "")
            default = "**required**" if key in table.get("required", ()) else _default(value)
            yield f"| `{key}` | {_cell(self._values(value))} | {default} | {_cell(about)} |"
        yield ""

    def rest(self) -> Iterator[str]:
        """Write the tables that were met, and those that are met on the way."""
        written: set[str] = set()
        while left := [name for name in self.titles if name not in written]:
            written.add(left[0])
            path = self.titles[left[0]].partition("`")[2].partition("`")[0].strip("[]")
            yield f"({_anchor(left[0])})="
            yield from self.section(self.titles[left[0]], self.definitions[left[0]], f"{path}.")

    def _title(self, name: str, siblings: list[str], path: str, value: dict[str, Any]) -> str:
        """Return how a table is written, and by which key it is told apart from others in its place."""
        table = f"`[[{path}]]`" if value.get("type") == "array" else f"`[{path}]`"
        if len(siblings) == 1:
            return table
        own = self.definitions[name]
        for key, choice in own["properties"].items():
            if "const" in choice and isinstance(choice["const"], str):
                return f"{table} with `{key} = {json.dumps(choice['const'])}`"
        others = [self.definitions[other]["properties"] for other in siblings if other != name]
        (mark, *_) = [key for key in own["required"] if all(key not in other for other in others)]
        return f"{table} with `{mark}`"

    def _values(self, value: dict[str, Any]) -> str:
        """Say which values a key may have, in a few words."""
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            return f"[{self.titles[name]}](#{_anchor(name)})"
        if "const" in value:
            return _code(value["const"])
        if "enum" in value:
            return ", ".join(map(_code, value["enum"]))
        for joined in ("anyOf", "oneOf", "allOf"):
            if joined in value:
                return ", or ".join(dict.fromkeys(map(self._values, value[joined])))
        if value.get("type") == "array":
            held = value.get("items")
            return f"a list of: {self._values(held)}" if isinstance(held, dict) else "a list"
        return "a table" if value.get("type") == "object" else _scalar(value)


def _references(tree: Any) -> Iterator[str]:
    """Find the tables that a schema refers to, in their order."""
    if isinstance(tree, list):
        for item in tree:
            yield from _references(item)
    elif isinstance(tree, dict):
        if "$ref" in tree:
            yield tree["$ref"].rpartition("/")[2]
        for item in tree.values():
            yield from _references(item)


def _scalar(value: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {value[bound]:,}" for bound, sign in signs.items() if bound in value]
    return ", ".join([WORDS.get(str(value.get("type")), "any value"), *limits])


def _default(value: dict[str, Any]) -> str:
    """Write the default, but for tables, whose keys have defaults of their own."""
    default = value.get("default")
    return "" if default in (None, "", [], {}) or isinstance(default, dict) else _code(default)


def _about(table: dict[str, Any]) -> list[str]:
    return [text, ""] if (text := _text(table)) else []


def _text(table: dict[str, Any]) -> str:
    return " ".join(table.get("description", "").replace("``", "`").split())


def _anchor(name: str) -> str:
    return f"sweep-{name.lower()}"


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
