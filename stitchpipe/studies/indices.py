"""Indices as studies speak of them: whether more is more similar, and what they are called on a figure."""

from __future__ import annotations

from typing import TypeAlias

from stitchpipe.registry import find_measure

By: TypeAlias = tuple[str, str]
"""What layers are ranked by, and under which view."""


def is_similarity(index: str) -> bool:
    """Return whether more of an index is more similar; of one that nobody knows it is assumed."""
    measure = find_measure(index)
    return measure is None or measure.larger_is_more_similar is not False


def sign_of(index: str) -> float:
    """Return what makes an index a likeness: 1 of a similarity, −1 of a distance."""
    return 1.0 if is_similarity(index) else -1.0


def title_of(index: str) -> str:
    """Return an index as on a figure."""
    measure = find_measure(index)
    return measure.title if measure else index


def title_under(index: str, view: str) -> str:
    """Return an index as on a figure, with the view that it was taken under."""
    return f"{title_of(index)} ({view})"
