"""The tables and keys of a sweep file as Markdown, from the JSON schema behind `stitchpipe schema`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stitchpipe.config import sweep_schema

if TYPE_CHECKING:
    from collections.abc import Iterator


def sections() -> str:
    """Write one section for the sweep, then one for each table or kind of table."""
    schema = sweep_schema()
    tables = {"Sweep": schema, **schema["definitions"]}
    return "\n".join(line for name in _order(tables) for line in _section(name, tables[name]))


def _order(tables: dict[str, Any]) -> list[str]:
    """Order tables as the sweep names them, from above to below."""
    order, left = [], ["Sweep"]
    while left:
        name = left.pop(0)
        if name not in order and name in tables:
            order.append(name)
            left += _named(tables[name])
    return [name for name in order if "properties" in tables[name]]


def _named(tree: Any) -> Iterator[str]:
    """Find the definitions that a schema refers to, in their order."""
    if isinstance(tree, list):
        for item in tree:
            yield from _named(item)
    elif isinstance(tree, dict):
        if "$ref" in tree:
            yield tree["$ref"].rpartition("/")[2]
        for key, item in tree.items():
            if key not in ("definitions", "$defs"):
                yield from _named(item)


def _section(name: str, table: dict[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if about := table.get("description"):
        yield from (" ".join(about.replace("``", "`").split()), "")
    required = table.get("required", ())
    yield from ("| key | values | default | meaning |", "|---|---|---|---|")
    for key, value in table["properties"].items():
        default = "**required**" if key in required else _code(value["default"]) if "default" in value else ""
        yield f"| `{key}` | {_cell(_values(value))} | {default} | {_cell(value.get('description', ''))} |"
    yield ""


def _values(value: dict[str, Any]) -> str:
    """Say which values a key may have, in a few words."""
    if "$ref" in value:
        return f"a table {_link(value)}"
    if "const" in value:
        return _code(value["const"])
    if "enum" in value:
        return ", ".join(map(_code, value["enum"]))
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in value:
            return ", or ".join(dict.fromkeys(map(_values, value[joined])))
    return _of_type(value)


def _of_type(value: dict[str, Any]) -> str:
    kind = value.get("type")
    if kind == "array":
        held = _values(value["items"]) if isinstance(value.get("items"), dict) else ""
        return f"list of {held}" if held else "list"
    if kind == "object":
        return "table"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {value[bound]:g}" for bound, sign in bounds.items() if bound in value]
    return " ".join([words.get(str(kind), "any value"), *limits])


def _link(value: dict[str, Any]) -> str:
    name = value["$ref"].rpartition("/")[2]
    return f"[{name}](#{name.lower()})"


def _code(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
