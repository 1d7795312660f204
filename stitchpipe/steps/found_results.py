"""The results of a sweep that are there, as its page shows them, and how many are not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from stitchpipe.report import COLUMNS, Gathering
from stitchpipe.results import keys_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from stitchpipe.report import Comparison
    from stitchpipe.results import Keys
    from stitchpipe.run import Run
    from stitchpipe.studies.stitches import LayerOrder


@dataclass(frozen=True, eq=False)
class FoundResults:
    """The results of a sweep that are there, and how many are not: of pairs, and of stitches."""

    compared: Comparison
    stitches: pd.DataFrame
    missing: Mapping[str, int]

    @property
    def is_whole(self) -> bool:
        """Whether none is missing."""
        return not any(self.missing.values())


def found_results(
    run: Run, wanted: Mapping[str, Keys], order: LayerOrder, stitches: Sequence[str]
) -> FoundResults:
    """Look for the results of some keys of each index, and of stitches."""
    compared, n_there = run.results.through_compared(wanted, (*COLUMNS, "key"), partial(_gathered, order))
    n_pairs = len(np.unique(np.concatenate([np.empty(0, np.uint64), *wanted.values()])))
    there = set(run.results.keys())
    rows = run.results.read([key for key in stitches if key in there])
    missing = {"pairs": n_pairs - n_there, "stitches": sum(key not in there for key in stitches)}
    return FoundResults(compared, rows, missing)


def _gathered(order: LayerOrder, tables: Iterator[pa.Table]) -> tuple[Comparison, int]:
    """Return results as matrices, and of how many pairs under their views they are."""
    gathering, keys = Gathering(order), [np.empty(0, np.uint64)]
    for table in tables:
        gathering.add(table)
        # A pair has one key for all its indices, next to each other or not.
        keys.append(np.unique(keys_of(table["key"].combine_chunks())))
    return gathering.comparison(), len(np.unique(np.concatenate(keys)))
