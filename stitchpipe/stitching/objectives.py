"""What a stitching layer may learn from: the task, the target's answers, or the target's own representations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - the field's abbreviation
from torch import Tensor, nn

from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    from stitchpipe.stitching.budget import Objective
    from storage import Representation

    Loss = Callable[["Target", Sequence["Given"]], list[Tensor]]

Needed = TypeVar("Needed")

LEARN_FROM_LOGITS = frozenset({"hard_labels", "soft_labels"})
"""Objectives that compare logits."""
NEEDS_VALUES = frozenset({"direct_matching", "fula", "penultimate"})
"""Objectives that need the target layer's own activations."""
NEEDS_FOLLOWING = frozenset({"fula", "penultimate"})
"""Objectives that need values from inside the tail."""


@dataclass(frozen=True, eq=False)
class Target:
    """What stitches into one target layer learn from and are judged by.

    Attributes
    ----------
    tail
        Activations of the target layer → logits ``(n, classes)``.
    labels
        ``[n]`` whole numbers, in the order of the store.
    logits
        The target network's own, ``[n, classes]`` in the order of the store, one array for each pass over the images
        that trainings go through; for ``soft_labels``.
    values
        The target layer's own activations, one representation for each pass; for objectives in `NEEDS_VALUES`.
    following
        Activations of the target layer → a tuple of values behind it: for ``fula`` of all layers that count, the logits
        among them; for ``penultimate`` what the last linear layer takes is the first.
    """

    tail: nn.Module
    labels: npt.NDArray[np.int64]
    logits: Sequence[npt.NDArray[np.floating]] = ()
    values: Sequence[Representation] = ()
    following: nn.Module | None = None

    def demand(self, objective: Objective, passes: int) -> None:
        """Raise `StitchError` where an objective needs what is not there for every pass over the images."""
        wanted = {
            "logits": passes if objective == "soft_labels" else 0,
            "values": passes if objective in NEEDS_VALUES else 0,
        }
        missing = [name for name, count in wanted.items() if count and len(getattr(self, name)) != count]
        if objective in NEEDS_FOLLOWING and self.following is None:
            missing.append("following")
        if missing:
            raise StitchError(
                where=f"objective '{objective}'",
                expected=f"the target's {' and '.join(missing)}, for {passes} passes over the images",
                found="none" if not getattr(self, missing[0]) else f"{len(getattr(self, missing[0]))}",
                remedy="Give the target with them.",
            )


@dataclass(frozen=True, eq=False, slots=True)
class Given:
    """One training's batch.

    Attributes
    ----------
    stitched
        What its layer makes of the source, in the shape of the target layer.
    labels, logits
        ``[n]``, and the target network's own ``[n, classes]`` where they are needed.
    native
        The target layer's own activations, where they are needed.
    """

    stitched: Tensor
    labels: Tensor
    logits: Tensor | None = None
    native: Tensor | None = None


def losses(objective: Objective, target: Target, given: Sequence[Given]) -> list[Tensor]:
    """Return the loss of each training's batch; the tail is called once for all.

    Notes
    -----
    ``hard_labels``
        Cross-entropy of the stitched logits with the labels (Bansal et al. 2021; Balogh and Jelasity 2025).
    ``soft_labels``
        KL(softmax g ‖ softmax of the stitched logits), g the target's own, mean over images (Hinton et al. 2015).
    ``direct_matching``
        Mean squared difference from the target layer's own activations: the least-squares map by descent. The tail is
        not run.
    ``fula``
        Mean over the target layer and the layers behind it of ‖h − g‖/‖g‖, of each image, between stitched and own
        activations (functional latent alignment, Athanasiadis et al. 2025). Two forward passes through the tail.
    ``penultimate``
        Mean squared difference of what the last linear layer takes. Two forward passes through the tail.
    """
    return _LOSSES[objective](target, given)


def _split(joined: Tensor, given: Sequence[Given]) -> Sequence[Tensor]:
    parts: Sequence[Tensor] = torch.split(joined, [len(one.stitched) for one in given])
    return parts


def _logits(target: Target, given: Sequence[Given]) -> Sequence[Tensor]:
    logits: Tensor = target.tail(_joined([one.stitched for one in given]))
    return _split(logits.float(), given)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _hard_labels(target: Target, given: Sequence[Given]) -> list[Tensor]:
    return [
        F.cross_entropy(logits, one.labels) for logits, one in zip(_logits(target, given), given, strict=True)
    ]


def _soft_labels(target: Target, given: Sequence[Given]) -> list[Tensor]:
    return [
        F.kl_div(
            logits.log_softmax(1), _there(one.logits).log_softmax(1), reduction="batchmean", log_target=True
        )
        for logits, one in zip(_logits(target, given), given, strict=True)
    ]


def _direct_matching(_: Target, given: Sequence[Given]) -> list[Tensor]:
    return [F.mse_loss(one.stitched.float(), _there(one.native)) for one in given]


def _fula(target: Target, given: Sequence[Given]) -> list[Tensor]:
    stitched, native = _following(target, given)
    pairs = [[(one.stitched, _there(one.native)) for one in given]]
    pairs += [
        list(zip(_split(h, given), _split(g, given), strict=True))
        for h, g in zip(stitched, native, strict=True)
    ]
    return [
        torch.stack([_relative_distance(*layer[number]) for layer in pairs]).mean()
        for number in range(len(given))
    ]


def _relative_distance(h: Tensor, g: Tensor) -> Tensor:
    """Return ‖h − g‖/‖g‖ of each image, averaged; images whose own activations are all zero do not count."""
    own = g.float().flatten(1).norm(dim=1)
    distance = (h.float() - g.float()).flatten(1).norm(dim=1)
    counts = own > 0
    ratios = (distance / own.where(counts, 1.0)).where(counts, 0.0)
    return torch.as_tensor(ratios.sum() / counts.sum().clamp(min=1))


def _penultimate(target: Target, given: Sequence[Given]) -> list[Tensor]:
    stitched, native = _following(target, given)
    return [
        F.mse_loss(h.float(), g.float())
        for h, g in zip(_split(stitched[0], given), _split(native[0], given), strict=True)
    ]


def _following(target: Target, given: Sequence[Given]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Return what follows the stitched and the target's own activations, layer by layer."""
    following = _there(target.following)
    with torch.no_grad():
        native = following(_joined([_there(one.native) for one in given]))
    return following(_joined([one.stitched for one in given])), native


def _there(needed: Needed | None) -> Needed:
    """Return what `Target.demand` has asked for before the first step."""
    if needed is None:
        raise StitchError(
            where="objective", expected="the target's own values", found="none", remedy="Give them."
        )
    return needed


_LOSSES: dict[str, Loss] = {
    "hard_labels": _hard_labels,
    "soft_labels": _soft_labels,
    "direct_matching": _direct_matching,
    "fula": _fula,
    "penultimate": _penultimate,
}
