"""The stitches of a sweep, told apart by how their maps are found.

A new method is a section here, with its line in `Stitch`, and what it is expanded to where stitches are listed one by
one.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from stitchpipe import registry
from stitchpipe.config.layer_words import demand_layer_word
from stitchpipe.config.names import MapName, ObjectiveName
from stitchpipe.config.refusal import RefusalError
from stitchpipe.config.section import Section
from stitchpipe.config.values import Amount, Count, Flag, LearningRate, Many, Seed

_ABOUT_ENDS: Final = (
    "Globs over MODEL/LAYER. LAYER may be a word (all, cuts, blocks, stages, cuts:3) over dumped ones."
)
Init: TypeAlias = Literal["random", "identity", "dm"]


def _address(pattern: str) -> str:
    if "/" not in pattern:
        raise RefusalError(
            expected="globs of the form MODEL/LAYER", found=f"'{pattern}'", remedy=f"Write '*/{pattern}'?"
        )
    demand_layer_word(pattern.rpartition("/")[2])
    return pattern


Address: TypeAlias = Annotated[str, AfterValidator(_address), Field(json_schema_extra={"pattern": "/"})]


class StitchSet(Section):
    """A set of stitches: source layer, map, the rest of the target network."""

    method: str
    sources: tuple[Address, ...] = Field(min_length=1, examples=[["A/*"]], description=_ABOUT_ENDS)
    targets: tuple[Address, ...] = Field(min_length=1, examples=[["B/*"]], description=_ABOUT_ENDS)
    pairs: Literal["all", "self", "within", "between", "corresponding"] = Field(
        default="all",
        description="all: every source into every target; self: a layer into itself; within: layers of one model; "
        "between: layers of different models; corresponding: layers of the same name in different models.",
    )


class DirectStitch(StitchSet):
    """Direct matching: the map is fitted to the target's representation by least squares."""

    method: Literal["dm"] = Field(description="Direct matching: the map is fitted by least squares.")
    maps: tuple[MapName, ...] = Field(
        default=("affine",),
        min_length=1,
        description="Families of least-squares maps: affine, ridge(λ), orthogonal, low_rank(r).",
    )


class TrainedStitch(StitchSet):
    """Task loss matching: the map is trained, the target network behind it."""

    method: Literal["tlm"] = Field(description="Task loss matching: the map is trained.")
    init: tuple[Init, ...] = Field(
        default=("random",), min_length=1, description="Where training starts: dm is the least-squares map."
    )
    objectives: tuple[ObjectiveName, ...] = Field(
        default=("hard_labels",),
        min_length=1,
        description=f"What is minimised. {registry.about_objectives()}",
    )
    augmented: Flag = Field(
        default=False, description="Train on the augmented splits of [dump.augment], one an epoch."
    )
    autocast: Literal["none", "bfloat16"] = Field(default="none", description="Mixed precision.")
    compiled: Flag = Field(default=False, description="Let torch.compile fuse the rest of the network.")
    seeds: tuple[Seed, ...] = Field(
        default=(0,), min_length=1, max_length=1000, description="One training for each."
    )
    steps: Count = Field(default=300, description="Steps of the optimiser.")
    batch_size: Many = Field(default=256, description="Images in a step.")
    learning_rate: LearningRate = Field(default=1e-3, description="Of Adam.")
    weight_decay: Amount = Field(default=1e-5, description="Of Adam.")


Stitch: TypeAlias = Annotated[DirectStitch | TrainedStitch, Field(discriminator="method")]
"""A set of stitches by one of the methods."""
