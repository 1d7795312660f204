"""The numbers of pairs of layers by one measure, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stitchpipe.studies.effect import MANY_NETWORKS
from stitchpipe.studies.indices import By, is_similarity
from stitchpipe.studies.measures import RELATIVE

if TYPE_CHECKING:
    import numpy.typing as npt

    from stitchpipe.studies.axis import Axis

    Truths = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The numbers of one measure, one for each pair of layers; pairs without a number are not here.

    Attributes
    ----------
    axis
        Of the layers' numbers.
    source, target
        The two layers by their numbers.
    value
        The number.
    larger
        Whether more is more similar.
    p_family
        Family-wise p-values, NaN where there is none; None of a measure that has none at all.
    """

    axis: Axis
    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    value: Floats
    larger: bool
    p_family: npt.NDArray[np.floating[Any]] | None = None

    def __len__(self) -> int:
        return len(self.value)

    def at(self, which: npt.NDArray[Any]) -> Pairs:
        """Return some of the pairs, by a mask or by their places."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(
            self, **{name: held[which] for name, held in arrays.items() if isinstance(held, np.ndarray)}
        )

    @property
    def likeness(self) -> Floats:
        """The numbers with the sign that makes more more similar."""
        return self.value if self.larger else -self.value

    @property
    def ends(self) -> npt.NDArray[np.int64]:
        """One number for both layers of a pair."""
        return self.source.astype(np.int64) * len(self.axis.ends) + self.target

    @property
    def source_model(self) -> npt.NDArray[np.intp]:
        """The number of each source's model."""
        return self.axis.model[self.source]

    @property
    def target_model(self) -> npt.NDArray[np.intp]:
        """The number of each target's model."""
        return self.axis.model[self.target]

    @property
    def within(self) -> Truths:
        """Whether both layers are of one model."""
        same: Truths = self.source_model == self.target_model
        return same

    @property
    def across(self) -> Truths:
        """Whether layers are of different models that have the same layers, which correspond by name."""
        kin = self.axis.kin
        corresponding: Truths = (kin[self.source] == kin[self.target]) & ~self.within
        return corresponding

    @property
    def staged(self) -> Truths:
        """Whether layers are of different models that have equally many stages, which correspond."""
        stages = self.axis.stages
        corresponding: Truths = (stages[self.source] == stages[self.target]) & ~self.within
        return corresponding

    @property
    def later_by(self) -> npt.NDArray[np.intp]:
        """How many layers the source is later than the target, each in its own model."""
        later: npt.NDArray[np.intp] = self.axis.depth[self.source] - self.axis.depth[self.target]
        return later

    def units(self) -> tuple[npt.NDArray[np.intp], str]:
        """Return the unit of each pair, numbered as they are seen, and what units are; as `effect.unit_of`."""
        networks, seen = pd.factorize(self.target_model)
        if len(seen) >= MANY_NETWORKS:
            return networks, "target networks"
        return pd.factorize(self.target)[0], "target layers"


def of_indices(compared: pd.DataFrame, axis: Axis) -> dict[By, Pairs]:
    """Return the numbers of every index under its view, in the order in which they are seen.

    Parameters
    ----------
    compared
        As `stitchpipe.studies.Evidence` has it.

    Raises
    ------
    StudyError
        A layer is not on the axis.
    """
    groups = compared.groupby(["index", "view"], sort=False, observed=True)
    names = [(str(index), str(view)) for index, view in groups.size().index]
    value = compared["value"].to_numpy(float)
    p_family = compared["p_family"].to_numpy() if "p_family" in compared else None
    every = Pairs(
        axis, axis.numbers(compared, "source"), axis.numbers(compared, "target"), value, True, p_family
    )
    group = groups.ngroup().to_numpy()
    # A stable sort keeps the rows of each index together, and in their order.
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group, minlength=len(names))))[:-1]
    return {
        name: replace(every.at(part[~np.isnan(value[part])]), larger=is_similarity(name[0]))
        for name, part in zip(names, parts, strict=True)
    }


def of_stitches(stitched: pd.DataFrame, axis: Axis) -> Pairs:
    """Return the relative accuracies of stitches, of which each pair has one; raises as `of_indices`."""
    known = stitched[stitched[RELATIVE].notna()]
    value = known[RELATIVE].to_numpy(float)
    return Pairs(axis, axis.numbers(known, "source"), axis.numbers(known, "target"), value, True)
