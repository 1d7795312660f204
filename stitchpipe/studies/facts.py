"""What a study knows of a run beside its numbers: the layers of its models, and what kind of models they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeAlias

from stitchpipe.studies.axis import Axis
from stitchpipe.studies.effect import wilson
from stitchpipe.studies.stitches import comparable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stitchpipe.studies.stitches import LayerOrder

Kind: TypeAlias = Literal["trained", "untrained", "control", "unknown"]
"""What a model is: a network that learned something, one with random weights, none at all, or nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the models of a run.

    Attributes
    ----------
    layer_order
        Every model's layers, from input to output.
    kinds
        What each model is; one that is not named is ``unknown``, and claims speak of it.
    accuracies
        Of networks by themselves, on the split that stitches are judged on.
    chance
        Accuracy of answering the commonest class; None where nobody knows.
    images
        How many an accuracy is of; of those that belong together, how many on their own they are worth at least.
    stages
        For each model, the number of the stage that each of its layers belongs to; none where it has a single one.
    families
        What each network is but for its seed: networks of one family differ in nothing else.
    controls
        What each control is: ``random codes``, or ``permuted`` with the model that it is of.
    """

    layer_order: LayerOrder
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    accuracies: Mapping[str, float] = field(default_factory=dict)
    chance: float | None = None
    images: int | None = None
    stages: Mapping[str, Sequence[int]] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    controls: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)

    @cached_property
    def axis(self) -> Axis:
        """The layers of all models, numbered."""
        return Axis.of(self.layer_order, self.stages)

    def are(self, *kinds: Kind) -> list[str]:
        """Return the models of some kinds, in their order."""
        return [model for model in self.layer_order if self.kinds.get(model, "unknown") in kinds]

    def stage_of(self, model: str, layer: str) -> int | None:
        """Return the stage of a layer; None where the model has a single one, or none is known."""
        if model not in self.stages:
            return None
        return self.stages[model][list(self.layer_order[model]).index(layer)]

    def have_same_stages(self, source: str, target: str) -> bool:
        """Return whether two different models have equally many stages, so that these correspond."""
        if source == target or source not in self.stages or target not in self.stages:
            return False
        return max(self.stages[source]) == max(self.stages[target])

    def are_related(self, source: str, target: str) -> bool:
        """Return whether some study asks how layers of these two models stand to each other."""
        return (
            source == target
            or comparable(self.layer_order, source, target)
            or self.have_same_stages(source, target)
            or "control" in (self.kinds.get(source), self.kinds.get(target))
        )

    def is_at_chance(self, model: str, accuracy: float | None, images: int | None = None) -> bool:
        """Return whether a network's accuracy cannot be told from chance: relative to it nothing is an accuracy.

        The lower limit of its 95 % interval (Wilson) is not above chance.
        """
        own, n = self.accuracies.get(model, accuracy), self.images or images
        if own is None or self.chance is None or not n:
            return False
        return wilson(own * n, n)[0] <= self.chance


def stages_of(shapes: Sequence[tuple[int, ...]]) -> list[int] | None:
    """Return the stage of each layer, 0 first: a new one begins where the shape changes; None of a single stage."""
    stages = [number for number, (_, run) in enumerate(groupby(shapes)) for _ in run]
    return stages if stages and stages[-1] > 0 else None
