"""Names that can be written down: those of files on the disk may be any bytes."""

from __future__ import annotations


def is_text(name: str) -> bool:
    """Return whether a name can be written as UTF-8; Python keeps bytes that cannot as halves of characters."""
    return name.isascii() or name.encode(errors="replace").decode() == name
