"""What stands above a matrix: its measure, the view, and of stitches how they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stitchpipe.results import making_in_words

if TYPE_CHECKING:
    import xarray as xr

WORDS: Final = ("method", "init", "objective", "steps")


def title_of(matrix: xr.DataArray) -> str:
    """Return a matrix's title: ``Linear CKA, pooled``, or ``relative accuracy, positions, TLM from random, 100 steps``.

    Only what all its numbers agree in is told.
    """
    about = matrix.attrs
    making = making_in_words({word: about[word] for word in WORDS if word in about})
    parts = (about.get("long_name") or matrix.name or "", about.get("view", ""), making)
    return ", ".join(str(part) for part in parts if part)
