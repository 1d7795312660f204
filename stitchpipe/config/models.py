"""The models of a sweep: networks, told apart by where their weights come from, or activations alone.

A new origin is a section here, with its line in `ORIGINS` and in `Model`; what it means stands in
`stitchpipe.models.origins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Discriminator, Field, Tag

from stitchpipe.config.controls import Control
from stitchpipe.config.layer_words import LayerChoice
from stitchpipe.config.paths import Location, located, located_name
from stitchpipe.config.section import Section
from stitchpipe.config.values import (
    Amount,
    Epochs,
    Flag,
    LearningRate,
    Many,
    NetworkOptions,
    On,
    Pixels,
    Seed,
    Share,
)

if TYPE_CHECKING:
    from pathlib import Path


class TrainingRecipe(Section):
    """How a model is trained on the spot, under a one-cycle schedule."""

    epochs: Epochs = Field(default=25, description="How often every image is seen.")
    batch_size: Many = Field(default=64, description="Images in a step.")
    learning_rate: LearningRate = Field(default=0.2, description="At the peak of the schedule.")
    optimiser: Literal["sgd", "adamw"] = Field(
        default="sgd", description="SGD with Nesterov momentum, or AdamW, which transformers want."
    )
    weight_decay: Amount = Field(default=5e-4, description="Of the optimiser.")
    shift: Pixels = Field(default=1, description="Each image is shifted by up to this many pixels.")
    flip: Flag = Field(default=False, description="Mirror half of the images from left to right.")
    seed: Seed = Field(default=0, description="Of the first weights, the order and the changes of images.")
    min_accuracy: Share = Field(default=0.0, description="Refuse the model below this test accuracy.")


class NamedModel(Section):
    """What is said of every model, wherever it comes from."""

    name: str = Field(
        min_length=1, description="How the model is called in the store, the results and stitches."
    )
    layers: LayerChoice | None = Field(
        default=None,
        description="Globs over names of layers, or words: all, cuts, blocks, stages; cuts:10 are ten of them, evenly "
        "spaced. Default: those of [dump], or all without a network.",
    )

    def starting_at(self, folder: Path) -> Self:  # noqa: ARG002  (models with paths use it)
        """Return the model with its relative paths resolved."""
        return self


class NetworkModel(NamedModel):
    """A network that can be run: an architecture, and weights from somewhere."""

    architecture: str = Field(
        min_length=1,
        description="cifar_resnet; a torchvision classification network such as resnet18; timm/NAME; hf/TYPE, "
        "hf/FOLDER or hf/ORGANISATION/NAME; or an entry point of the group stitchpipe.models.",
    )
    options: NetworkOptions = Field(default_factory=dict, description="Arguments of the architecture.")
    rule: str | None = Field(
        default=None,
        description="The rule of `zoo` that named the model, as `stitchpipe` writes it: what fails in it ends nothing "
        "else.",
    )

    def starting_at(self, folder: Path) -> Self:
        """Return the model with its relative paths resolved: folders of Hugging Face (``hf/./…``)."""
        prefix, slash, name = self.architecture.partition("/")
        if prefix != "hf":
            return self
        return self.model_copy(update={"architecture": f"{prefix}{slash}{located_name(name, folder)}"})


class WeightsModel(NetworkModel):
    """A network with the weights of a checkpoint."""

    weights: Location = Field(
        description="Checkpoint, a path or s3://bucket/key: safetensors, or a torch file of tensors only."
    )

    def starting_at(self, folder: Path) -> Self:
        """Return the model with the path of the checkpoint resolved, too."""
        weights = self.weights if isinstance(self.weights, str) else located(self.weights, folder)
        return super().starting_at(folder).model_copy(update={"weights": weights})


class PretrainedModel(NetworkModel):
    """A network with published weights."""

    pretrained: On | Annotated[str, Field(min_length=1)] = Field(
        description="Published weights: torchvision's name (IMAGENET1K_V1), timm's tag, Hugging Face's id or folder; "
        "true for the default ones."
    )

    def starting_at(self, folder: Path) -> Self:
        """Return the model with the path of its weights resolved where it is one, too."""
        published = self.pretrained if self.pretrained is True else located_name(self.pretrained, folder)
        return super().starting_at(folder).model_copy(update={"pretrained": published})


class TrainedModel(NetworkModel):
    """A network that is trained on the sweep's data."""

    train: TrainingRecipe = Field(description="Train on the sweep's data.")


class UntrainedModel(NetworkModel):
    """A network with random weights, as a control."""

    untrained: On = Field(description="Random weights, as a control.")
    seed: Seed = Field(default=0, description="Of the random weights.")


class ObjectModel(NetworkModel):
    """A network that is a module of a Python process, which `sp.run` was given."""

    object: On = Field(
        description="A module of a Python process, which `sp.run` was given; `architecture` has its digest."
    )


class IngestedModel(NamedModel):
    """No network: activations that ``stitchpipe ingest`` put into the run's store."""

    ingested: On = Field(
        description="No network: activations that `stitchpipe ingest` put into the run's store."
    )
    fingerprints: tuple[str, ...] = Field(
        default=(), description="Which are meant, where a name stands for several; first digits."
    )


class ControlModel(NamedModel):
    """No network: made-up activations, as a source."""

    control: Control = Field(description="No network: made-up activations, as a source.")


ORIGINS: Final[dict[str, type[NamedModel]]] = {
    "weights": WeightsModel,
    "pretrained": PretrainedModel,
    "train": TrainedModel,
    "untrained": UntrainedModel,
    "object": ObjectModel,
    "ingested": IngestedModel,
    "control": ControlModel,
}
"""The key that says where a model comes from → its section."""


def _origin(value: Any) -> str | None:
    """Return the one origin that a table of [[models]] names, or None; a switch that is off names none."""
    if isinstance(value, dict):
        given = [key for key in ORIGINS if value.get(key, False) is not False]
        return given[0] if len(given) == 1 else None
    return next((key for key, section in ORIGINS.items() if isinstance(value, section)), None)


Model: TypeAlias = Annotated[
    Annotated[WeightsModel, Tag("weights")]
    | Annotated[PretrainedModel, Tag("pretrained")]
    | Annotated[TrainedModel, Tag("train")]
    | Annotated[UntrainedModel, Tag("untrained")]
    | Annotated[ObjectModel, Tag("object")]
    | Annotated[IngestedModel, Tag("ingested")]
    | Annotated[ControlModel, Tag("control")],
    Discriminator(_origin),
]
"""One model of a sweep: a network from one of the origins, or activations alone."""
