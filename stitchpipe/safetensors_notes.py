"""What stands beside the tensors of a safetensors file: the texts that it was saved with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def notes_of(data: bytes) -> Mapping[str, str]:
    """Return the metadata of a safetensors file: in its header of JSON, behind the header's length in eight bytes.

    Raises
    ------
    ValueError, KeyError, TypeError
        The bytes are no such file, or one without metadata.
    """
    length = int.from_bytes(data[:8], "little")
    notes: Mapping[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return notes
