"""What there is to know about an index before reading its numbers, and what a number comes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from stitchpipe.measures import Parameter, Transformation

Summary: TypeAlias = Literal["moments", "samples", "minibatches", "logits"]
"""What an index is computed from; see `Index`."""


@dataclass(frozen=True)
class IndexValue:
    """A value, with the rank and the conditioning it rests on where the index inverts anything."""

    value: float
    rank: int | None = None
    condition: float | None = None


@dataclass(frozen=True)
class Index:
    """What there is to know about an index before reading its numbers.

    Attributes
    ----------
    name
        As in results and in sweeps. A parameter that is not the default stands behind it: ``gulp(0.1)``.
    label
        As on a figure, without the parameter (`title` has it).
    meaning
        What it measures and what to beware of, in a few sentences.
    symmetric
        Exchanging source and target changes nothing.
    metric
        It is a distance of shapes: zero for equal ones, symmetric, with the triangle inequality.
    larger_is_more_similar
        False for distances and errors.
    range
        Smallest and largest value.
    source_invariances, target_invariances
        Transformations of either side that leave the value as it is.
    independent_rows
        The estimator takes rows for independent: not to be used on several rows of one image.
    summary
        What it is computed from: ``moments`` of rows, ``samples`` (kernels, neighbours or distances of at most a
        couple of thousand images), ``minibatches`` of rows, or ``logits``.
    cost
        Finalisation, from the summary.
    literature
        Where it was proposed.
    family
        The map that a held-out index scores: ``affine``, ``ridge``, ``orthogonal`` or ``low_rank``.
    parameter
        None where there is nothing to choose.
    equals
        The other index that has the same number, or of which this one is a function.
    """

    name: str
    label: str
    meaning: str
    symmetric: bool
    metric: bool
    larger_is_more_similar: bool
    range: tuple[float, float]
    source_invariances: frozenset[Transformation]
    target_invariances: frozenset[Transformation]
    cost: str
    literature: str
    independent_rows: bool = False
    summary: Summary = "moments"
    family: str | None = None
    parameter: Parameter | None = None
    equals: str | None = None

    @property
    def base(self) -> str:
        """The name without a parameter: the key of the registry."""
        return self.name.partition("(")[0]

    @property
    def title(self) -> str:
        """As on a figure."""
        chosen = self.parameter
        return self.label if chosen is None else f"{self.label}, {chosen.label.format(chosen.value)}"

    @property
    def held_out(self) -> bool:
        """It scores a map fitted on other rows."""
        return self.family is not None

    @property
    def invariances(self) -> frozenset[Transformation]:
        """Transformations that either side may undergo."""
        return self.source_invariances & self.target_invariances
