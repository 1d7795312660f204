"""Pairs of layers that several runs have numbers of: what studies that hold runs against each other share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from stitchpipe.studies.indices import sign_of, title_of
from stitchpipe.studies.making import makings
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.stitches import PAIR

if TYPE_CHECKING:
    from stitchpipe.studies.evidence import Evidence

BY: Final = ["by", "view"]


def numbers(evidence: Evidence) -> pd.DataFrame:
    """Return every number of a pair, of indices and of stitches: ``by``, ``view``, the pair, ``value``, ``likeness``.

    A layer with itself is left out: there every index has its best value.
    """
    compared = evidence.compared.dropna(subset=["value"])
    plain = compared.astype(dict.fromkeys(("index", "view", *PAIR), str))
    names = plain["index"].unique()
    rows = plain.assign(
        by=plain["index"].map({name: title_of(name) for name in names}),
        likeness=plain["value"] * plain["index"].map({name: sign_of(name) for name in names}),
    )
    stitched = evidence.stitched.dropna(subset=[RELATIVE])
    made = stitched.assign(
        by="stitches: " + makings(stitched), view="", value=stitched[RELATIVE], likeness=stitched[RELATIVE]
    )
    columns = [*BY, *PAIR, "value", "likeness"]
    beside = [name for name in ("n_samples", "p_value", "effect_size") if name in rows]
    both = pd.concat([rows[[*columns, *beside]], made[[*columns, "n_samples"]]], ignore_index=True)
    is_itself = (both["source_model"] == both["target_model"]) & (
        both["source_layer"] == both["target_layer"]
    )
    kept: pd.DataFrame = both[~is_itself]
    return kept


def shared(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers that two runs have of the same pairs, those of the second as ``… there``."""
    return first.merge(second, on=[*BY, *PAIR], suffixes=("", " there"))


def images(evidence: Evidence) -> int:
    """Return how many images the comparisons of a run are over; 0 where there are none."""
    counts = evidence.compared["n_samples"] if "n_samples" in evidence.compared else np.zeros(0)
    return int(counts.max()) if len(counts) else 0
