"""What stands above a matrix: its measure, the view, and of stitches how they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

ACRONYMS = ("dm", "tlm")


def title_of(matrix: xr.DataArray) -> str:
    """Return a matrix's title: ``Linear CKA, pooled``, or ``relative accuracy, positions, TLM from random, 100 steps``.

    Only what all its numbers agree in is told.
    """
    about = matrix.attrs
    parts = [
        about.get("long_name") or matrix.name or "",
        about.get("view", ""),
        _method(about.get("method", "")),
    ]
    if "init" in about:
        parts[-1] += f" from {about['init']}"
    if "objective" in about:
        parts[-1] += f" for {about['objective']}"
    if "steps" in about:
        parts.append(f"{int(about['steps'])} steps")
    return ", ".join(str(part) for part in parts if part)


def _method(name: str) -> str:
    return name.upper() if name in ACRONYMS else name
