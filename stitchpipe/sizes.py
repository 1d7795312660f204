"""Sizes as people read them."""

from __future__ import annotations


def size_of(n_bytes: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n_bytes < 999.5:  # three digits, whatever the unit
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.3g} TiB"
