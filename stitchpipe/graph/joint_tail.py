"""The part of a network behind a joint cut: it takes the values of several layers by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from stitchpipe.graph.joint_cuts import MOST, joint_name
from stitchpipe.graph.layer_info import LayerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class JointTail(nn.Module):
    """Activations of all layers of a joint cut, by name → logits.

    Parameters
    ----------
    members
        The layers, in the order in which `tail` takes their activations.
    tail
        What lies behind them.
    """

    def __init__(self, members: Sequence[str], tail: nn.Module) -> None:
        super().__init__()
        self.members, self.tail = tuple(members), tail

    def forward(self, activations: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, ...]:
        """Return the logits, behind what is wanted on the way.

        Raises
        ------
        LayerError
            A layer is missing, there are others, or they are not of equally many images.
        """
        counts = {name: len(value) for name, value in activations.items()}
        if counts.keys() != set(self.members) or len(set(counts.values())) != 1:
            raise LayerError(
                where=f"the tail behind '{joint_name(self.members)}'",
                expected=f"activations of {', '.join(self.members)}, of equally many images",
                found=", ".join(f"{count} of {name}" for name, count in counts.items()) or "none",
                remedy="Hand over a mapping with one entry for each layer of the joint cut.",
            )
        answer: Tensor | tuple[Tensor, ...] = self.tail(*(activations[name] for name in self.members))
        return answer


def demand_members(members: Sequence[str], example: Tensor | None) -> None:
    """Refuse a joint cut that names a layer twice, or too many, and one without an example."""
    where, different = f"joint cut '{joint_name(members)}'", len(set(members))
    if different != len(members) or different > MOST:
        raise LayerError(
            where=where,
            expected=f"2 to {MOST} different layers",
            found=f"{len(members)}, {different} of them different",
            remedy="Name each layer of it once.",
        )
    if example is None:
        raise LayerError(
            where=where,
            expected="an image as `example`, on which the tail is held against the network's answers",
            found="none",
            remedy="Hand over an image of the size that the activations were made from.",
        )
