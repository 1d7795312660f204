"""How stitched representations are held against the target's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from stitchpipe.config.data import Data
from stitchpipe.config.refusal import RefusalError, Section
from stitchpipe.config.values import BatchSize, Count, Epochs, LearningRate, Seed  # noqa: TC001  (pydantic reads them)

if TYPE_CHECKING:
    from collections.abc import Callable


IMAGE_ORIGINS = ("<generated>", "<data>")
"""What pydantic puts into the place of an error to say which kind of images it tried: no keys of a file."""


def _origin(value: Any) -> str:
    return IMAGE_ORIGINS[isinstance(value, dict | Data)]


Images: TypeAlias = Annotated[
    Annotated[Literal["noise", "textures"], Tag(IMAGE_ORIGINS[0])] | Annotated[Data, Tag(IMAGE_ORIGINS[1])],
    Discriminator(_origin),
]
"""Images by their generator, or a table like [data]."""


class Detector(Section):
    """A classifier of the target layer's representations whose energy is driven apart; off without this table.

    Rates, batches and margins are those of Liu et al. (2020), who train for 100 epochs and fine-tune for 10.
    """

    auxiliary: Images = Field(
        default="noise",
        description="what fine-tuning sees as foreign: 'noise', 'textures', or a data set's training images",
    )
    sanity: Images = Field(
        default="textures",
        description="what the finished detector must find foreign: the same, or a data set's test images",
    )
    epochs: Epochs = Field(default=20, description="of cross-entropy on native representations")
    finetune_epochs: Epochs = Field(default=10, description="of cross-entropy with the energy term")
    images: Count = Field(
        default=5000, description="at most this many of the training images, and of either foreign set"
    )
    batch_size: BatchSize = Field(
        default=128, description="native images per step; twice as many foreign ones"
    )
    learning_rate: LearningRate = 0.1
    finetune_learning_rate: LearningRate = 1e-3
    seed: Seed = 0

    @model_validator(mode="after")
    def _other_images(self) -> Detector:
        if self.auxiliary == self.sanity:
            raise RefusalError(
                expected="a sanity check on other images than fine-tuning sees",
                found=f"{self.sanity if isinstance(self.sanity, str) else self.sanity.label!r} for both",
                remedy="Name another generator or data set for one of them.",
            )
        for name in ("auxiliary", "sanity"):
            images = getattr(self, name)
            if isinstance(images, Data) and images.kind == "store":
                raise RefusalError(
                    expected=f"images for `{name}`, to run the target network on",
                    found="kind 'store', which has none",
                    remedy="Name 'noise', 'textures', or data of another kind.",
                )
        return self


class Ood(Section):
    """How far stitched representations are from the target's own."""

    neighbours: Count = Field(default=10, description="k of the k-nearest-neighbour distance")
    positions: Count = Field(default=8, description="of an image, for statistics of single positions")
    position_rows: Count = Field(
        default=8192, description="positions of a split at most: of larger ones every 2nd, 4th, … image"
    )
    seed: Seed = Field(default=0, description="of the choice of positions")
    detector: Detector | None = None

    def with_data(self, located: Callable[[Data], Data]) -> Ood:
        """Return this table with its data sets, if it has any, as `located` gives them back."""
        if self.detector is None:
            return self
        images = {name: getattr(self.detector, name) for name in ("auxiliary", "sanity")}
        changed = {name: located(one) for name, one in images.items() if isinstance(one, Data)}
        return self.model_copy(update={"detector": self.detector.model_copy(update=changed)})
