"""The words that choose layers beside globs, and how many of them: ``cuts``, ``blocks:12``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from stitchpipe.config.refusal import RefusalError

LAYER_WORDS: Final = ("all", "cuts", "blocks", "stages")
"""What they choose stands in `stitchpipe.run.layer_words`, because it depends on what a network consists of."""
MOST_LAYERS: Final = 10_000

_WORD: Final = re.compile(rf"({'|'.join(LAYER_WORDS)})(?::(.*))?")


def layer_word(text: str) -> tuple[str, int | None] | None:
    """Return the word and the number of layers (None: all of them) that a text asks for; None of a glob."""
    match = _WORD.fullmatch(text)
    if match is None:
        return None
    word, count = match.groups()
    return word, None if count is None else int(count)


def demand_layer_word(text: str) -> str:
    """Return a glob or word as it is, if its number of layers is one.

    Raises
    ------
    RefusalError
        What stands behind the colon is no number of layers.
    """
    match = _WORD.fullmatch(text)
    count = None if match is None else match.group(2)
    if count is not None and not (count.isdecimal() and 1 <= int(count) <= MOST_LAYERS):
        raise RefusalError(
            expected=f"a number of layers behind '{text.partition(':')[0]}:', from 1 to {MOST_LAYERS}",
            found=repr(text),
            remedy=f"Write '{text.partition(':')[0]}:10', or leave the number out for all of them.",
        )
    return text


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Chosen: TypeAlias = Annotated[str, AfterValidator(demand_layer_word)]
LayerChoice: TypeAlias = Annotated[
    tuple[_Chosen, ...],
    BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
    Field(min_length=1),
]
"""Globs over names of layers and words, or one of them."""
