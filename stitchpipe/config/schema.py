"""The JSON schema of a sweep file: what editors complete and check while it is written.

It says which tables and keys there are, of which kind, and which values they may have. What depends on several tables
at once (an address of a model that is not declared, data without images for networks) only reading the file finds out:
whatever the schema refuses is refused there too, not the other way round.
"""

from __future__ import annotations

import json
from typing import Any, Final

from stitchpipe.config.sweep import Sweep

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
"""The newest that TOML language servers understand as a whole."""
_NULL: Final = {"type": "null"}
_MODELS: Final = ("models", "zoo", "include")
IDENTIFIER: Final = "https://github.com/stitchpipe/stitchpipe/sweep.schema.json"


def sweep_schema() -> dict[str, Any]:
    """Return the schema as a tree, in the dialect of draft 7."""
    tree = Sweep.model_json_schema(ref_template="#/definitions/{model}")
    tree["definitions"] = tree.pop("$defs")
    # A file without any of these three has no models.
    tree["anyOf"] = [{"required": [key]} for key in _MODELS]
    heading = {"$schema": DIALECT, "$id": IDENTIFIER, "title": "A sweep of stitchpipe"}
    return {**heading, **{key: value for key, value in _draft_7(tree).items() if key not in heading}}


def sweep_schema_json() -> str:
    """Return the schema as text, the same for the same version."""
    return json.dumps(sweep_schema(), indent=1, ensure_ascii=False) + "\n"


def _draft_7(tree: Any) -> Any:
    """Return a schema without what stands beside a reference, which draft 7 overlooks, and without OpenAPI's keys."""
    if isinstance(tree, list):
        return [_draft_7(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    plain = {key: _draft_7(value) for key, value in tree.items() if not _is_openapi(key, value)}
    if _NULL in plain.get("anyOf", ()):
        plain = _without_null(plain)
    if "$ref" in plain and len(plain) > 1:
        plain = {"allOf": [{"$ref": plain.pop("$ref")}], **plain}
    return plain


def _without_null(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that null was one choice of: TOML has none, an absent key says it."""
    choices = [choice for choice in plain.pop("anyOf") if choice != _NULL]
    rest = {key: value for key, value in plain.items() if key != "default" or value is not None}
    return {**choices[0], **rest} if len(choices) == 1 else {"anyOf": choices, **rest}


def _is_openapi(key: str, value: Any) -> bool:
    return key == "discriminator" and isinstance(value, dict) and "propertyName" in value
