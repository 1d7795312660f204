"""One step of trainings that go side by side: the target's tail is called once for all, each loss is its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stitchpipe.stitching.errors import StitchError
from stitchpipe.stitching.objectives import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.stitching.objectives import Need, Objective
    from stitchpipe.stitching.target import StitchingTarget


@dataclass(frozen=True, eq=False, slots=True)
class StitchedBatch:
    """One training's batch, before anything behind the target layer is computed.

    Attributes
    ----------
    stitched
        What its layer makes of the source, in the shape of the target layer.
    labels, native_logits
        ``[n]``, and the target network's own ``[n, classes]`` where they are needed.
    native
        The target layer's own activations, where they are needed.
    """

    stitched: Tensor
    labels: Tensor
    native_logits: Tensor | None = None
    native: Tensor | None = None


def losses(objective: Objective, target: StitchingTarget, batches: Sequence[StitchedBatch]) -> list[Tensor]:
    """Return the loss of each training's batch; the tail is called once for all."""
    sizes = [len(batch.stitched) for batch in batches]
    joined = _joined([batch.stitched for batch in batches])
    logits: Sequence[Tensor] = ()
    if "logits" in objective.needs:
        logits = torch.split(target.tail(joined).float(), sizes)
    following, native_following = _behind(objective, target, joined, batches)
    steps = []
    for number, batch in enumerate(batches):
        given: dict[Need, Tensor | None] = {
            "logits": logits[number] if logits else None,
            "native_logits": batch.native_logits,
            "native": batch.native,
        }
        steps.append(
            Step(
                batch.stitched,
                batch.labels,
                {need: value for need, value in given.items() if value is not None},
                [layer[number] for layer in following],
                [layer[number] for layer in native_following],
            )
        )
    return [objective.loss(step) for step in steps]


Layers = list[tuple[Tensor, ...]]


def _behind(
    objective: Objective, target: StitchingTarget, joined: Tensor, batches: Sequence[StitchedBatch]
) -> tuple[Layers, Layers]:
    """Return what follows the stitched and the target's own activations: layer by layer, training by training."""
    if objective.behind is None:
        return [], []
    if target.following is None or any(batch.native is None for batch in batches):
        raise StitchError(
            where=f"objective '{objective.name}'",
            expected="the target's own activations, and what gives the values behind them",
            found="none",
            remedy="Give the target with them.",
        )
    sizes = [len(batch.stitched) for batch in batches]
    with torch.no_grad():
        # The target's own values are constants of the loss, so no graph is kept for them.
        native = target.following(_joined([batch.native for batch in batches if batch.native is not None]))
    stitched = target.following(joined)
    # The joined batch is cut back into each training's part, layer by layer.
    own, made = ([torch.split(layer, sizes) for layer in layers] for layers in (native, stitched))
    return made, own


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
