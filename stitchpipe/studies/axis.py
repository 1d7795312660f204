"""The layers of a run, numbered model after model: where each stands, and which belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from stitchpipe.studies.stitches import LayerOrder, depth_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    Numbers: TypeAlias = npt.NDArray[np.intp]
    Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """What is known of every layer by its number.

    Attributes
    ----------
    models
        By their numbers.
    ends
        Model and layer, by the layer's number.
    model, depth
        Of each layer: the number of its model, and its place there.
    relative
        Depth of each layer, 0 the first and 1 the last; of a model of one layer 0.
    kin
        Of each layer: models with the same layers have the same number.
    stage, stages
        Of each layer: its stage, and how many stages its model has; NaN where it has a single one or none is known.
    """

    models: tuple[str, ...]
    ends: tuple[tuple[str, str], ...]
    model: Numbers
    depth: Numbers
    relative: Floats
    kin: Numbers
    stage: Floats
    stages: Floats

    @classmethod
    def of(cls, layer_order: LayerOrder, stages: Mapping[str, Sequence[int]]) -> Axis:
        """Return the layers of all models by number, with their stages where these are known."""
        models, sizes = tuple(layer_order), [len(layers) for layers in layer_order.values()]
        ends = tuple((model, layer) for model, layers in layer_order.items() for layer in layers)
        depth = np.concatenate([np.arange(0), *map(np.arange, sizes)])
        last = np.repeat([max(size - 1, 1) for size in sizes], sizes)
        known = [stages.get(model, [np.nan] * size) for model, size in zip(models, sizes, strict=True)]
        return cls(
            models=models,
            ends=ends,
            model=np.repeat(np.arange(len(models)), sizes),
            depth=depth,
            relative=depth / last,
            kin=np.repeat(_first_seen(map(tuple, layer_order.values())), sizes),
            stage=np.array([stage for each in known for stage in each], np.float64),
            stages=np.repeat(np.array([max(each, default=np.nan) for each in known], np.float64), sizes),
        )

    def numbers(self, rows: pd.DataFrame, side: str) -> npt.NDArray[np.int32]:
        """Return the numbers of the layers at one end of each row.

        Raises
        ------
        StudyError
            A layer is not on the axis.
        """
        (model, models), (layer, layers) = (_coded(rows[f"{side}_{what}"]) for what in ("model", "layer"))
        which, pairs = pd.factorize(model * len(layers) + layer)
        numbered = {end: number for number, end in enumerate(self.ends)}
        order: dict[str, list[str]] = {}
        for name, its in self.ends:
            order.setdefault(name, []).append(its)
        known = []
        for pair in pairs.tolist():
            end = str(models[pair // len(layers)]), str(layers[pair % len(layers)])
            if end not in numbered:
                depth_of(order, *end)  # says which layer, and what is known
            known.append(numbered[end])
        numbers: npt.NDArray[np.int32] = np.array(known, np.int32)[which] if known else np.zeros(0, np.int32)
        return numbers

    def layers(self, numbers: npt.NDArray[Any]) -> pd.Categorical[Any]:
        """Return layers as a column of their names."""
        names = [layer for _, layer in self.ends]
        return _column(_first_seen(names)[numbers], names)

    def models_of(self, numbers: npt.NDArray[Any]) -> pd.Categorical[Any]:
        """Return layers as a column of their models' names."""
        return _column(self.model[numbers], self.models)

    def paths(self, numbers: npt.NDArray[Any]) -> pd.Categorical[Any]:
        """Return layers as a column of ``model/layer``."""
        return _column(numbers, [f"{model}/{layer}" for model, layer in self.ends])


def _coded(column: pd.Series) -> tuple[npt.NDArray[np.int64], Sequence[Any]]:
    """Return names as codes, and what the codes stand for."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes, np.int64), column.cat.categories.tolist()
    codes, names = pd.factorize(column)
    return np.asarray(codes, np.int64), names.tolist()


def _first_seen(values: Iterable[Hashable]) -> Numbers:
    """Return values as numbers, in the order in which they are seen."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(value, len(seen)) for value in values], np.intp)


def _column(codes: npt.NDArray[Any], names: Iterable[str]) -> pd.Categorical[Any]:
    """Return a column of names by their codes; a name that is there again has the code of the first."""
    return pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype([*dict.fromkeys(names)]))
