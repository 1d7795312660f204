"""What a measure of one layer is: what there is to know of it, and its formula."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from stitchpipe.algebra.errors import AlgebraError, UndefinedIndexError
from stitchpipe.measures import OK, Measure

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.algebra.moments import Moments

    Float64 = npt.NDArray[np.float64]
    Labels = npt.NDArray[np.int64]
    Formula: TypeAlias = "Callable[[LayerContents, Measure], LayerValue]"


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows of images ``[n, p]``, and the class of each ``[n]``."""

    rows: Float64
    labels: Labels


@dataclass(frozen=True, eq=False)
class LayerContents:
    """What is known of one layer under one view.

    Attributes
    ----------
    moments
        Of the rows that are scored; held in fewer coordinates where rows are wider than there are rows.
    storage_eps
        Spacing at 1 of the dtype the rows were kept in.
    rows
        ``[n, p]``, one for each image; None where an image has several rows.
    labels
        The class of each image ``[n]``; None where there are none.
    train
        The images that a probe is fitted on; None where they are not labelled.
    groups
        The number of each image's group ``[n]``, of those that are scored; None where each is on its own.
    """

    moments: Moments
    storage_eps: float
    rows: Float64 | None = None
    labels: Labels | None = None
    train: LabelledRows | None = None
    groups: Labels | None = None


@dataclass(frozen=True)
class LayerValue:
    """A value; its standard error where it has one, and a remark where a reader should know more."""

    value: float
    standard_error: float | None = None
    remark: str | None = None


@dataclass(frozen=True)
class LayerNumber:
    """What a measure says of a layer: a value, or the reason why there is none; beside a value that is a remark."""

    value: float | None
    status: str = OK
    reason: str | None = None
    standard_error: float | None = None


@dataclass(frozen=True)
class LayerMeasure:
    """A measure of one layer by itself: its facts beside its formula.

    Raises
    ------
    AlgebraError
        The measure is of another kind, or rests on something else than rows of one layer.
    """

    measure: Measure
    of_layer: Formula

    def __post_init__(self) -> None:
        if self.measure.kind != "layer" or self.measure.computed_from not in BASES:
            raise AlgebraError(
                where=f"declaration of the layer measure '{self.measure.name}'",
                expected=f"the kind 'layer', computed from {', '.join(BASES)}",
                found=f"a measure of kind '{self.measure.kind}', computed from {self.measure.computed_from}",
                remedy="Declare what its formula is.",
            )

    @property
    def name(self) -> str:
        """As in results and in sweeps, its parameter included."""
        return self.measure.name

    @property
    def reads_labels(self) -> bool:
        """Whether it needs classes, and the training images beside those that are scored."""
        return self.measure.computed_from == "labelled_images"

    def with_parameter(self, value: float) -> LayerMeasure:
        """Return the measure with another value of its parameter."""
        return replace(self, measure=self.measure.with_parameter(value))

    def number(self, contents: LayerContents) -> LayerNumber:
        """Return its number of a layer, or why there is none.

        Raises
        ------
        AlgebraError
            Labels or rows are asked for and not at hand.
        """
        try:
            value = self.of_layer(contents, self.measure)
        except UndefinedIndexError as undefined:
            return LayerNumber(None, undefined.status, undefined.reason)
        return LayerNumber(float(value.value), OK, value.remark, value.standard_error)


BASES = ("moments", "images", "labelled_images")
"""What a measure of a layer may be computed from (`Measure.computed_from`)."""


def rows_of(contents: LayerContents, measure: str) -> Float64:
    """Return the rows of the images; refuse contents that have several rows for an image."""
    if contents.rows is None:
        raise AlgebraError(
            where=measure,
            expected="one row for each image",
            found="moments of rows alone",
            remedy="Ask for it under 'pooled' or 'flatten'.",
        )
    return contents.rows
