"""Parts of a dump, as a command or a flow run names them."""

from __future__ import annotations

from stitchpipe.config import ConfigError


def parse_part(text: str) -> tuple[int, int]:
    """Return ``"2/4"``, the second of four parts, as ``(1, 4)``.

    Raises
    ------
    ConfigError
        It is not K/N with K from 1 to N.
    """
    first, _, last = text.partition("/")
    if first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last):
        return int(first) - 1, int(last)
    raise ConfigError(
        where="--part",
        expected="K/N, the K-th of N parts, K from 1 to N",
        found=f"'{text}'",
        remedy="Start N processes, with --part 1/N to N/N.",
    )
