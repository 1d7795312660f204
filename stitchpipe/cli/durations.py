"""Durations as people say them."""

from __future__ import annotations


def duration_of(seconds: float) -> str:
    """Return a duration as people say it: .4 s, 42 s, 7 min, 3.5 h, 2.1 days."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1g} s" if 0 < seconds < 1 else f"{seconds:.0f} s"
