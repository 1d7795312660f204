"""What a stitching layer can be trained for: an objective's facts beside its loss, and what the loss is given.

Light: the sweep file and the listing of objectives import it, so torch is imported where a loss is computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.stitching.errors import StitchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

Need: TypeAlias = Literal["logits", "native_logits", "native"]
"""Logits of the stitched network; the target network's own; the target layer's own activations."""

Behind: TypeAlias = Literal["cuts", "penultimate"]
"""Values behind the target layer: at all dumped cuts, logits among them; or what the last linear layer takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised when a stitching layer is trained, and what that needs.

    Attributes
    ----------
    name
        As in sweeps and results.
    label
        As on a figure.
    meaning
        What it asks of the stitch, in a sentence.
    loss
        From the batch of one training (`Step`) to a scalar.
    needs
        What the loss reads of a `Step` beside the stitched activations and the labels.
    behind
        Which values behind the target layer it reads; None for none. Those of the target network are computed from the
        layer's own activations, which `needs` must hold then.
    is_task_loss
        It asks for the task's answers, so that claims about task loss matching speak of it.
    literature
        Where it was proposed.

    Raises
    ------
    StitchError
        Values behind the layer without its own activations.
    """

    name: str
    label: str
    meaning: str
    loss: Callable[[Step], Tensor]
    needs: frozenset[Need]
    behind: Behind | None = None
    is_task_loss: bool
    literature: str = ""

    def __post_init__(self) -> None:
        if self.behind is not None and "native" not in self.needs:
            raise StitchError(
                where=f"objective '{self.name}'",
                expected="'native' among its needs: values behind the layer are compared with the target's own",
                found=", ".join(sorted(self.needs)) or "none",
                remedy="Add it.",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a loss is given of one training in one step: some images, all in the same order.

    Attributes
    ----------
    stitched
        What the stitching layer makes of the source, ``(n, …)`` in the shape of the target layer.
    labels
        ``[n]`` class numbers.
    following, native_following
        Values behind the target layer, of the stitched and of the target network, layer by layer: what
        `Objective.behind` names.
    """

    stitched: Tensor
    labels: Tensor
    given: dict[Need, Tensor] = field(default_factory=dict)
    following: Sequence[Tensor] = ()
    native_following: Sequence[Tensor] = ()

    @property
    def logits(self) -> Tensor:
        """Return the stitched network's logits, ``[n, classes]`` float32; `StitchError` if they were not needed."""
        return self._of("logits")

    @property
    def native_logits(self) -> Tensor:
        """Return the target network's logits, ``[n, classes]`` float32; `StitchError` if they were not needed."""
        return self._of("native_logits")

    @property
    def native(self) -> Tensor:
        """Return the target layer's own activations, float32; `StitchError` if they were not needed."""
        return self._of("native")

    def _of(self, need: Need) -> Tensor:
        if need not in self.given:
            raise StitchError(
                where="objective",
                expected=f"'{need}' among what it needs, since its loss reads it",
                found=", ".join(self.given) or "none",
                remedy="Declare it in `needs`.",
            )
        return self.given[need]
