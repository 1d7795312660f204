"""A sweep as TOML again, with every default written out."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stitchpipe.config.sweep import Sweep


def declared_toml(sweep: Sweep) -> str:
    """Return a sweep as TOML with every default written out; it parses back to the same sweep."""
    text = _toml(sweep.model_dump(mode="json", exclude_none=True))
    tomllib.loads(text)
    return text


def _toml(tree: dict[str, Any]) -> str:
    lines = [f"{key} = {inline(value)}" for key, value in tree.items() if not _is_section(value)]
    for key, value in tree.items():
        for section in (value if isinstance(value, list) else [value]) if _is_section(value) else ():
            head = f"[[{key}]]" if isinstance(value, list) else f"[{key}]"
            lines += ["", head, *(f"{name} = {inline(item)}" for name, item in section.items())]
    return "\n".join(lines)


def _is_section(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def inline(value: Any) -> str:
    """Return a value as TOML on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            # JSON escapes what TOML does, control characters among it, but leaves DEL as it is.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return "[" + ", ".join(map(inline, value)) + "]"
        case dict():
            return (
                "{ " + ", ".join(f"{_key(str(key))} = {inline(item)}" for key, item in value.items()) + " }"
            )
        case _:
            return repr(value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else inline(key)
