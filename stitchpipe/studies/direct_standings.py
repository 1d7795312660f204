"""How the layer that ought to be best stands among all sources, by stitched accuracy and by indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from stitchpipe.registry import find_measure
from stitchpipe.studies.best_source import Standing, standing
from stitchpipe.studies.finding import fraction
from stitchpipe.studies.measures import RELATIVE
from stitchpipe.studies.stitches import by_models, comparable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.studies.evidence import Evidence
    from stitchpipe.studies.stitches import LayerOrder

By: TypeAlias = tuple[str, str]
"""What layers are ranked by, and under which view."""
Sources: TypeAlias = "Mapping[str, set[str]]"
"""For each target model, the models whose layers are ranked for it."""

ACCURACY: By = ("stitched accuracy", "")


def counterparts(layer_order: LayerOrder) -> Sources:
    """Return for each model the other models whose layers have the same names."""
    return {
        target: {source for source in layer_order if comparable(layer_order, source, target)}
        for target in layer_order
    }


def standings(evidence: Evidence, sources: Sources) -> dict[By, Standing]:
    """Return the standing by stitched accuracy, then by the direct-matching indices of each view."""
    layer_order, stitched = evidence.facts.layer_order, evidence.stitched
    direct = stitched[stitched["method"] == "dm"].rename(columns={RELATIVE: "value"})
    rows: dict[By, Standing] = {ACCURACY: standing_among(direct, layer_order, sources, larger=True)}
    for (index, view), block in evidence.compared.groupby(["index", "view"], sort=False, observed=True):
        if str(index).startswith("dm_"):
            label = title_of(str(index)).removeprefix("Direct matching, ")
            larger = is_similarity(str(index))
            rows[label, str(view)] = standing_among(block, layer_order, sources, larger=larger)
    return {label: ranking for label, ranking in rows.items() if ranking.targets}


def standing_among(
    values: pd.DataFrame, layer_order: LayerOrder, sources: Sources, *, larger: bool
) -> Standing:
    """Return the standing over the pairs of models that are asked about."""
    asked = values[by_models(values, lambda source, target: source in sources.get(target, ()))]
    return standing(asked, layer_order, larger_is_better=larger)


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
