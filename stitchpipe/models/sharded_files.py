"""Files of checkpoints, without torch: whether they are there, and which ones a sharded checkpoint consists of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from stitchpipe.models.errors import WeightsError
from storage import place_and_key

EXPECTED: Final = "a checkpoint (safetensors, or a torch file of tensors)"
COMPLETE: Final = "Is the file complete?"
_LARGEST_INDEX: Final = 64 << 20


def checkpoint_is_there(path: Path | str) -> bool:
    """Whether there is a file, or an object in a bucket: one request. Errors as `storage.Place.size`."""
    if not isinstance(path, str):
        return path.is_file()
    place, key = place_and_key(path)
    return place.size(key) is not None


def shards_of(path: Path | str) -> list[Path | str]:
    """Return the files that the index of a sharded checkpoint names, none of any other file. Errors as `index_of`."""
    if not str(path).lower().endswith(".index.json"):
        return []
    return [shard_beside(path, name) for name in sorted(set(index_of(path).values()))]


def index_of(path: Path | str) -> dict[str, str]:
    """Return which file holds which tensor, as the index at `path` says; `WeightsError` where it is none."""
    try:
        written = bytes_of(path)
        files: Any = json.loads(written)["weight_map"] if len(written) <= _LARGEST_INDEX else None
        return {str(key): str(name) for key, name in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise unreadable(
            path, "JSON that is no index of sharded safetensors", "Give the index, or a single file."
        ) from None


def shard_beside(path: Path | str, name: str) -> Path | str:
    """Return where the shard lies that an index calls `name`: beside the index, and nowhere else."""
    if not re.fullmatch(r"[^/\\\0]+", name) or name in (".", "..") or name == Path(str(path)).name:
        raise unreadable(path, f"the shard {name!r}, which is no name of a file beside it", COMPLETE)
    return f"{path.rpartition('/')[0]}/{name}" if isinstance(path, str) else path.parent / name


def bytes_of(path: Path | str) -> bytes:
    """Return all of a file's, or of an object's, bytes."""
    if isinstance(path, Path):
        return path.read_bytes()
    place, key = place_and_key(path)
    return place.read(key)


def unreadable(path: Path | str, found: str, remedy: str) -> WeightsError:
    """Return the error that says what was found in the place of a checkpoint."""
    return WeightsError(where=str(path), expected=EXPECTED, found=found, remedy=remedy)
