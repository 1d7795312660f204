"""How stitched representations are held against the target's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from stitchpipe.config.data import Data, NamedData, StoredData
from stitchpipe.config.names import ScoreName
from stitchpipe.config.refusal import RefusalError
from stitchpipe.config.section import Section
from stitchpipe.config.values import Count, Epochs, LearningRate, Many, Seed

if TYPE_CHECKING:
    from pathlib import Path

Generator: TypeAlias = Literal["noise", "textures"]


def _origin(value: Any) -> str:
    return "data" if isinstance(value, dict | NamedData) else "generated"


Images: TypeAlias = Annotated[
    Annotated[Generator, Tag("generated")] | Annotated[Data, Tag("data")], Discriminator(_origin)
]
"""Images by their generator, or a table like [data]."""


class Detector(Section):
    """A classifier of the target layer's representations whose energy is driven apart; off without this table.

    Rates, batches and margins are those of Liu et al. (2020), who train for 100 epochs and fine-tune for 10.
    """

    auxiliary: Images = Field(
        default="noise",
        description="What fine-tuning sees as foreign: 'noise', 'textures', or a data set's training images.",
    )
    sanity: Images = Field(
        default="textures",
        description="What the finished detector must find foreign: the same, or a data set's test images.",
    )
    epochs: Epochs = Field(default=20, description="Of cross-entropy on native representations.")
    finetune_epochs: Epochs = Field(default=10, description="Of cross-entropy with the energy term.")
    images: Count = Field(
        default=5000, description="At most this many of the training images, and of either foreign set."
    )
    batch_size: Many = Field(default=128, description="Native images in a step; twice as many foreign ones.")
    learning_rate: LearningRate = Field(default=0.1, description="For native representations.")
    finetune_learning_rate: LearningRate = Field(default=1e-3, description="With the energy term.")
    seed: Seed = Field(default=0, description="Of weights, order and generated images.")

    @model_validator(mode="after")
    def _other_images(self) -> Detector:
        if self.auxiliary == self.sanity:
            raise RefusalError(
                expected="a sanity check on other images than fine-tuning sees",
                found=f"{self.sanity if isinstance(self.sanity, str) else self.sanity.label!r} for both",
                remedy="Name another generator or data set for one of them.",
            )
        for name in ("auxiliary", "sanity"):
            if isinstance(getattr(self, name), StoredData):
                raise RefusalError(
                    expected=f"images for `{name}`, to run the target network on",
                    found="kind 'store', which has none",
                    remedy="Name 'noise', 'textures', or data of another kind.",
                )
        return self

    def starting_at(self, folder: Path) -> Self:
        """Return this table with the relative paths of its data sets resolved."""
        images = {name: getattr(self, name) for name in ("auxiliary", "sanity")}
        data = {name: value for name, value in images.items() if isinstance(value, NamedData)}
        return self.model_copy(update={name: value.starting_at(folder) for name, value in data.items()})


class Ood(Section):
    """How far stitched representations are from the target's own."""

    neighbours: Count = Field(default=10, description="k of the k-nearest-neighbour distance.")
    positions: Count = Field(
        default=8, description="Positions of an image, for statistics of single positions."
    )
    position_rows: Count = Field(
        default=8192, description="Positions of a split at most: of larger ones every 2nd, 4th, … image."
    )
    seed: Seed = Field(default=0, description="Of the choice of positions.")
    scores: tuple[ScoreName, ...] = Field(
        default=(), description="Scores that installed packages add, beside our own, which every stitch has."
    )
    detector: Detector | None = Field(
        default=None, description="The energy detector; off without this table."
    )

    def starting_at(self, folder: Path) -> Self:
        """Return this table with the relative paths of its data sets resolved."""
        detector = self.detector
        return (
            self if detector is None else self.model_copy(update={"detector": detector.starting_at(folder)})
        )
