"""Which source is best for each target, and whether it is the layer itself or the corresponding one."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from stitchpipe.studies.stitches import LayerOrder, depth_of


@dataclass(frozen=True, slots=True)
class Standing:
    """How the layer that ought to be best compares with the others, over a set of targets.

    Attributes
    ----------
    targets
        Targets where that layer and at least one other have a number.
    best, tied, beaten
        Strictly above all others; level with the best of them; below it.
    near
        Targets with a best source at most one layer away.
    excess
        The most by which another layer is above it; 0 if none is.
    cases
        One row per target.
    """

    targets: int
    best: int
    tied: int
    beaten: int
    near: int
    excess: float
    cases: pd.DataFrame

    @property
    def listed(self) -> pd.DataFrame:
        """The cases as a reader is shown them."""
        return self.cases.drop(columns=["target_model", "target_layer"])

    def row(self) -> dict[str, int | float]:
        """Return the counts under a reader's names."""
        return {
            "targets": self.targets,
            "strictly best": self.best,
            "tied": self.tied,
            "beaten": self.beaten,
            "within ±1": self.near,
            "largest excess": self.excess,
        }


def standing(values: pd.DataFrame, layer_order: LayerOrder, *, larger_is_better: bool) -> Standing:
    """Return how the layer of the target's own name stands among a model's layers, per pair of models.

    Parameters
    ----------
    values
        ``source_model, source_layer, target_model, target_layer, value``; missing values are left out.
    larger_is_better
        False for distances and errors.
    """
    # With this sign, larger is better for distances too.
    sign = 1.0 if larger_is_better else -1.0
    # A pair without a number says nothing about its layer's standing.
    known = values.dropna(subset=["value"])
    columns = [
        known[name].tolist() for name in ("source_model", "target_model", "target_layer", "source_layer")
    ]
    groups: dict[tuple[str, str, str], dict[str, float]] = {}
    for *names, layer, value in zip(*columns, known["value"].tolist(), strict=True):
        groups.setdefault((names[0], names[1], names[2]), {})[layer] = value
    every = (_case(*names, group, layer_order, sign) for names, group in groups.items())
    cases = [case for case in every if case is not None]
    table = pd.DataFrame(cases, columns=[*_COLUMNS])
    counts = {name: int((table["standing"] == name).sum()) for name in ("best", "tied", "beaten")}
    near = int((table["layers away"] <= 1).sum())
    excess = (sign * (table["its value"] - table["its own"])).clip(lower=0.0).max() if len(table) else 0.0
    return Standing(len(table), counts["best"], counts["tied"], counts["beaten"], near, float(excess), table)


def _case(
    source: str, target: str, layer: str, values: dict[str, float], layer_order: LayerOrder, sign: float
) -> dict[str, object] | None:
    others = {name: value for name, value in values.items() if name != layer}
    if layer not in values or not others:
        return None
    mine, rival = values[layer], sign * max(sign * value for value in others.values())
    # Several layers may share the best value. The one nearest in depth stands for them.
    level = [name for name, value in others.items() if value == rival]
    here = depth_of(layer_order, target, layer)
    nearest = min(level, key=lambda name: abs(depth_of(layer_order, source, name) - here))
    verdict = "tied" if mine == rival else "best" if sign * mine > sign * rival else "beaten"
    away = abs(depth_of(layer_order, source, nearest) - here) if verdict == "beaten" else 0
    lead = sign * (mine - rival)
    cells = (target, layer, f"{target}/{layer}", source, mine, nearest, rival, lead, verdict, away)
    return dict(zip(_COLUMNS, cells, strict=True))


_COLUMNS = (
    *("target_model", "target_layer", "target", "source model", "its own", "best other source", "its value"),
    *("lead", "standing", "layers away"),
)
