"""What there is to know about an index before reading its numbers, and what a number comes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Transformation: TypeAlias = Literal["translation", "scaling", "rotation", "invertible"]
"""Of one side's rows: adding a vector; a nonzero factor; an orthogonal map; any invertible linear map."""

Summary: TypeAlias = Literal["moments", "samples", "minibatches", "logits"]


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
    name, title
        As in results, and as on a figure.
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
    held_out
        It scores a map fitted on other rows.
    summary
        What it is computed from: ``moments`` of rows, ``samples`` (kernels, neighbours or distances of at most a
        couple of thousand images), ``minibatches``, or ``logits``.
    cost
        Finalisation, from the summary.
    literature
        Where it was proposed.
    """

    name: str
    title: str
    symmetric: bool
    metric: bool
    larger_is_more_similar: bool
    range: tuple[float, float]
    source_invariances: frozenset[Transformation]
    target_invariances: frozenset[Transformation]
    independent_rows: bool
    held_out: bool
    cost: str
    literature: str
    summary: Summary = "moments"

    @property
    def invariances(self) -> frozenset[Transformation]:
        """Transformations that either side may undergo."""
        return self.source_invariances & self.target_invariances
