"""How a stitch was made, in a few words: what tells rows of one pair of layers apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from stitchpipe.results import making_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORDS = ("method", "init", "objective", "seed", "steps")
"""Columns that a making is told by, unless others are asked for."""


def makings(stitched: pd.DataFrame, words: Sequence[str] = WORDS) -> pd.Series:
    """Return for each stitch how it was made: ``DM``, or ``TLM from random for hard_labels, seed 0, 300 steps``."""
    kinds = stitched[[*words]].drop_duplicates()
    named = {tuple(map(_key, row)): _told(dict(zip(words, row, strict=True))) for row in _rows(kinds)}
    texts = [named[tuple(map(_key, row))] for row in _rows(stitched[[*words]])]
    return pd.Series(texts, stitched.index, dtype=object)


def _rows(frame: pd.DataFrame) -> list[list[object]]:
    """Return rows as lists, missing values as None."""
    return list(map(list, zip(*(frame[name].tolist() for name in frame.columns), strict=True)))


def _key(value: object) -> object:
    return None if pd.isna(value) else value  # type: ignore[call-overload]  # of any scalar


def _told(making: Mapping[str, object]) -> str:
    return making_in_words({name: value for name, value in making.items() if _key(value) is not None})
