"""What single values of a sweep file may be: counts within reason, seeds, and names that stay inside `runs/`."""

from __future__ import annotations

import unicodedata
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from stitchpipe.config.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME_BYTES: Final = 120
"""Of a sweep's name in UTF-8: what the longest names of files leave room for beside a suffix."""

# Strict: a number in quotes is a slip, and no schema of the file would let it pass.
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Seed: TypeAlias = Annotated[int, Field(strict=True, ge=0, lt=2**32)]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=10**9)]
"""Of images, steps, rows: bounded so that a slip of the keyboard is refused and not tried."""
Few: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=1024)]
"""Of processes, threads and whatever else a machine has only so many of."""
Many: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=2**20)]
"""Of KiB, MiB, or the images of a batch."""
Epochs: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=10**5)]
Size: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=2**14)]
"""Of one axis of an array."""
Side: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=2**12)]
"""Of an image along one side: 200 MB of float32 in three colours."""
Pixels: TypeAlias = Annotated[int, Field(strict=True, ge=0, le=2**10)]
"""By which an image is moved."""
LARGEST_SAMPLE: Final = 2**24
"""How many numbers one sample may have: 64 MiB of float32."""
LARGEST_OPTION: Final = 2**20
"""Of whole numbers among a network's options, but for seeds: layers, channels, classes."""
LARGEST_FLOAT: Final = 1e37
"""Within float32, in which networks compute."""
LearningRate: TypeAlias = Annotated[float, Field(strict=True, gt=0, le=LARGEST_FLOAT)]
Amount: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=LARGEST_FLOAT)]
Share: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1)]


def _leaves(options: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what stands in options that is neither a table nor a list, with the key that it stands under."""
    waiting: list[tuple[str, Any]] = list(options.items())
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{key}.{inner}", item) for inner, item in value.items()]
        elif isinstance(value, list):
            waiting += [(key, item) for item in value]
        else:
            yield key, value


def _written_as_they_are(options: dict[str, Any]) -> dict[str, Any]:
    """Return free options if they come out of a record as they went in.

    Raises
    ------
    RefusalError
        A value is a date or no finite number, which JSON does not have.
    """
    for key, value in _leaves(options):
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not isfinite(value)):
            raise RefusalError(
                expected="text, finite numbers, true, false, and lists and tables of them",
                found=f"{key} = {value}",
                remedy="Write it as text, if that is what is meant.",
            )
    return options


def _within_reason(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a network if no number in them is one that only a slip of the keyboard writes.

    Raises
    ------
    RefusalError
        A whole number is beyond `LARGEST_OPTION`, of a seed beyond 32 bits.
    """
    for key, value in _leaves(options):
        largest = 2**32 if "seed" in key else LARGEST_OPTION
        if isinstance(value, int) and abs(value) > largest:
            raise RefusalError(
                expected=f"whole numbers of at most {largest:,}",
                found=f"{key} = {str(value)[:24]}",
                remedy="Correct it.",
            )
    return options


Options: TypeAlias = Annotated[dict[str, Any], AfterValidator(_written_as_they_are)]
"""Arguments that are handed on to a library."""
NetworkOptions: TypeAlias = Annotated[Options, AfterValidator(_within_reason)]
"""Arguments of an architecture."""


def _folder_name(name: str) -> str:
    """Return a sweep's name, which is the name of its folder under ``runs/``, if it can be one.

    Raises
    ------
    RefusalError
        It is more than one step of a path, leads elsewhere, cannot be seen, or is too long for a file system.
    """
    hidden = [letter for letter in name if unicodedata.category(letter) in {"Cc", "Cf", "Zl", "Zp", "Cs"}]
    separators = [letter for letter in "/\\" if letter in name]
    n_bytes = len(name.encode("utf-8", "surrogatepass"))
    if separators:
        found, remedy = (
            f"{name!r}, with {separators[0]!r} in it",
            "Write it without; --out puts a run elsewhere.",
        )
    elif hidden:
        found, remedy = f"{name!r}, with the control character {hidden[0]!r}", "Remove the character."
    elif name.strip(" .") != name or not name:
        found, remedy = repr(name), "Begin and end it with another character than a dot or a space."
    elif n_bytes > LONGEST_NAME_BYTES:
        found, remedy = f"{n_bytes} bytes", "Shorten it."
    else:
        return name
    raise RefusalError(
        expected=f"a name for the run's folder: one step of a path, of at most {LONGEST_NAME_BYTES} bytes",
        found=found,
        remedy=remedy,
    )


def _on(value: Any) -> bool:
    """Return True for true alone: pydantic would take 1 for it."""
    if value is not True:
        raise RefusalError(expected="true", found=repr(value), remedy="Write true, or remove the key.")
    return True


On: TypeAlias = Annotated[Literal[True], BeforeValidator(_on)]
"""A switch that is there or not: false would be a second way to say nothing."""
FolderName: TypeAlias = Annotated[
    str,
    Field(
        min_length=1, json_schema_extra={"maxLength": LONGEST_NAME_BYTES, "pattern": r"^[^\s./\\][^/\\]*$"}
    ),
    AfterValidator(_folder_name),
]
