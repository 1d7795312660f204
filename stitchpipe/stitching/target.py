"""What stitches into one target layer learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from stitchpipe.stitching.objectives import Objective
    from storage import Representation


@dataclass(frozen=True, eq=False)
class StitchingTarget:
    """What stitches into one target layer learn from and are judged by.

    Attributes
    ----------
    tail
        Activations of the target layer → logits ``(n, classes)``.
    labels
        ``[n]`` whole numbers, in the order of the store.
    logits
        The target network's own, ``[n, classes]`` in the order of the store, one array for each pass over the images
        that trainings go through; for objectives that need them.
    values
        The target layer's own activations, one representation for each pass; for objectives that need them.
    following
        Activations of the target layer → a tuple of values behind it: what `Objective.behind` names.
    """

    tail: nn.Module
    labels: npt.NDArray[np.int64]
    logits: Sequence[npt.NDArray[np.floating]] = ()
    values: Sequence[Representation] = ()
    following: nn.Module | None = None

    def demand(self, objective: Objective, passes: int) -> None:
        """Raise `StitchError` where an objective needs what is not there for every pass over the images."""
        wanted = {
            "logits": passes if "native_logits" in objective.needs else 0,
            "values": passes if "native" in objective.needs else 0,
        }
        missing = [name for name, count in wanted.items() if count and len(getattr(self, name)) != count]
        if objective.behind is not None and self.following is None:
            missing.append("following")
        if missing:
            raise StitchError(
                where=f"objective '{objective.name}'",
                expected=f"the target's {' and '.join(missing)}, for {passes} passes over the images",
                found="none" if not getattr(self, missing[0]) else f"{len(getattr(self, missing[0]))}",
                remedy="Give the target with them.",
            )
