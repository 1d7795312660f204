"""An out-of-distribution score: its facts, how it is fitted to a target layer, and what a stitch is judged by.

Light: the sweep file and the listing of measures import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from stitchpipe.measures import Number
from stitchpipe.ood.errors import OodError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.measures import Measure
    from stitchpipe.ood.native_rows import NativeRows
    from stitchpipe.ood.observation import Observation


PREFIX = "ood_"
"""How every score's name begins, so that none is taken for an index."""

NON_FINITE = Number.missing("non_finite", "the stitched representation holds values that are not finite")
NO_POSITIONS = Number.missing("not_applicable", "a vector has no positions")


@dataclass(frozen=True, slots=True, eq=False)
class Native:
    """What is native to a target layer: all that scores are fitted to.

    Attributes
    ----------
    train, test
        What was observed of the layer's own representations of either split.
    logits
        ``[n, classes]`` of the target network on the test split; None where only rows are looked at.
    neighbours
        k of the k-nearest-neighbour distance.
    images, positions
        The rows of both in training units; no positions for vectors.
    """

    train: Observation
    test: Observation
    logits: npt.NDArray[np.floating] | None
    neighbours: int
    images: NativeRows
    positions: NativeRows | None


@dataclass(frozen=True, slots=True, eq=False)
class Stitched:
    """What a stitch made of the test images: all that scores look at.

    Attributes
    ----------
    observed
        Of its representations at the target layer; finite.
    logits
        ``[n, classes]`` of the stitched network; None where only rows are looked at.
    """

    observed: Observation
    logits: npt.NDArray[np.floating] | None


Fitted: TypeAlias = "Callable[[Stitched], Number]"
"""From a stitch to its score, or the reason why there is none. Several threads may share it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How far stitched representations are from the target layer's own; 0 is not at all, and larger is further.

    Attributes
    ----------
    measure
        Its facts, with the kind ``ood``; computed from ``stitched_rows`` or ``stitched_logits``. Scores of rows are not
        asked about representations that are not finite.
    fit
        From what is native to a target layer to the score of stitches into it; once for each target.

    Raises
    ------
    OodError
        The measure is of another kind, or its name does not begin with ``ood_``.
    """

    measure: Measure
    fit: Callable[[Native], Fitted]

    def __post_init__(self) -> None:
        if self.measure.kind != "ood" or not self.measure.name.startswith(PREFIX):
            raise OodError(
                where=f"score '{self.measure.name}'",
                expected=f"a measure of kind 'ood', with a name that begins with {PREFIX}",
                found=f"kind '{self.measure.kind}', name '{self.measure.name}'",
                remedy="Rename it.",
            )

    @property
    def name(self) -> str:
        """As in results."""
        return self.measure.name
