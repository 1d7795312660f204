"""How the layer that ought to be best stands among all sources, by direct matching and by its indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from stitchpipe.studies.best_source import Standing, standing
from stitchpipe.studies.finding import fraction
from stitchpipe.studies.indices import By, title_of
from stitchpipe.studies.pairs import Pairs, of_stitches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.studies.evidence import Evidence

Asked: TypeAlias = "Callable[[Pairs], npt.NDArray[np.bool_]]"
"""Which pairs are asked about."""

ACCURACY: By = ("stitched accuracy", "")


def standings(evidence: Evidence, asked: Asked) -> dict[By, Standing]:
    """Return the standing by stitched accuracy, then by the direct-matching indices of each view."""
    stitched = evidence.stitched
    direct = of_stitches(stitched[stitched["method"] == "dm"], evidence.facts.axis)
    rows: dict[By, Standing] = {ACCURACY: standing(direct.at(asked(direct)))}
    for (index, view), pairs in evidence.pairs.items():
        if index.startswith("dm_"):
            label = title_of(index).removeprefix("Direct matching, ")
            rows[label, view] = standing(pairs.at(asked(pairs)))
    return {label: ranking for label, ranking in rows.items() if ranking.targets}


def listed_standings(rows: Mapping[By, Standing]) -> str:
    """Return how often the layer is strictly best by all rankings but the first, together."""
    rest = [ranking for by, ranking in rows.items() if by != next(iter(rows))]
    if not rest:
        return ""
    best, targets = sum(ranking.best for ranking in rest), sum(ranking.targets for ranking in rest)
    return f"By the held-out fit itself (R², structural error) it is strictly best in {fraction(best, targets)} cases."


def table_of(rows: Mapping[By, Standing]) -> pd.DataFrame:
    """Return the rankings one below the other."""
    return pd.DataFrame(
        [{"by": label, "view": view, **ranking.row()} for (label, view), ranking in rows.items()]
    )
