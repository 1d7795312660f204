"""One stitch of a sweep: what it is, and what it reads."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from stitchpipe.graph import LOGITS
from stitchpipe.run.names import LayerName
from stitchpipe.stitching import OBJECTIVES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stitchpipe.run.names import Pair
    from stitchpipe.stitching import TrainingBudget

AFFINE: Final = "affine"
"""The family of direct matching proper."""


@dataclass(frozen=True, slots=True)
class PlannedStitch:
    """One stitch to make.

    Attributes
    ----------
    map
        Family of the least-squares map that it is, or begins with; None where it needs none.
    init, budget
        Of a training; None for direct matching.
    """

    source: LayerName
    target: LayerName
    map: str | None = None
    init: str | None = None
    budget: TrainingBudget | None = None

    @property
    def method(self) -> str:
        """Return ``tlm``, ``dm``, or ``dm_ridge(0.1)`` and the like of other maps than affine ones."""
        if self.budget is not None:
            return "tlm"
        return "dm" if self.map == AFFINE else f"dm_{self.map}"

    def identity(self) -> Mapping[str, Any]:
        """Return what the stitch is, as its key has it."""
        return {
            "source": {"model": self.source.model, "layer": self.source.layer},
            "target": {"model": self.target.model, "layer": self.target.layer},
            "map": self.map,
            "init": self.init,
            "budget": None if self.budget is None else asdict(self.budget),
        }

    def reads(self) -> list[LayerName]:
        """Return whose activations on the training images the stitch reads."""
        names = [self.source]
        needs = OBJECTIVES.named(self.budget.objective).needs if self.budget is not None else frozenset()
        if "native" in needs:
            names.append(self.target)
        if "native_logits" in needs:
            names.append(LayerName(self.target.model, LOGITS))
        return names


@dataclass(frozen=True, slots=True)
class PlannedStitches:
    """The stitches that a sweep declares.

    Attributes
    ----------
    made
        One by one, each once, in the order of the file.
    left_out
        Pairs that globs match and that cannot be stitched, with what would be needed: nobody named these layers.
    """

    made: tuple[PlannedStitch, ...]
    left_out: Mapping[Pair, str]
