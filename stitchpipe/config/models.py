"""The models of a sweep: networks with their weights, or activations alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StrictBool, model_validator

from stitchpipe.config.controls import Control  # noqa: TC001  (pydantic reads it)
from stitchpipe.config.refusal import RefusalError, Section
from stitchpipe.config.values import BatchSize, Epochs, LearningRate, Seed  # noqa: TC001  (pydantic reads them)


class Training(Section):
    """How a model is trained on the spot: SGD with Nesterov momentum under a one-cycle schedule."""

    epochs: Epochs = 25
    batch_size: BatchSize = 64
    learning_rate: LearningRate = 0.2
    seed: Seed = 0
    min_accuracy: float = Field(
        default=0.0, ge=0, le=1, description="refuse the model below this test accuracy"
    )


ORIGINS = ("weights", "pretrained", "train", "untrained")
"""Where weights come from; a network has one of them."""


class Model(Section):
    """One network: an architecture, and where its weights come from; or activations alone."""

    name: str = Field(
        min_length=1, description="how the model is called in the store, the results and stitches"
    )
    architecture: str = Field(
        default="",
        description="cifar_resnet; a torchvision classification network such as resnet18; timm/NAME; hf/TYPE, "
        "hf/FOLDER or hf/ORGANISATION/NAME; or an entry point of the group stitchpipe.models",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of the architecture")
    weights: Path | None = Field(
        default=None, description="checkpoint: safetensors, or a torch file of tensors only"
    )
    pretrained: StrictBool | Annotated[str, Field(min_length=1)] = Field(
        default=False,
        description="published weights: torchvision's name (IMAGENET1K_V1), timm's tag, Hugging Face's id or folder; "
        "true for the default ones",
    )
    train: Training | None = Field(
        default=None, description="train on the sweep's data instead of loading weights"
    )
    untrained: bool = Field(default=False, description="random weights, as a control")
    seed: Seed = Field(default=0, description="of untrained weights")
    layers: tuple[str, ...] | None = Field(
        default=None, description="globs; default: those of [dump], all of an ingested model"
    )
    ingested: bool = Field(
        default=False, description="no network: activations that `stitchpipe ingest` put into the run's store"
    )
    fingerprints: tuple[str, ...] = Field(
        default=(), description="ingested: which are meant, where a name stands for several; first digits"
    )
    control: Control | None = Field(default=None, description="no network: made-up activations, as a source")

    @property
    def has_network(self) -> bool:
        """Return whether there is a network that can be run."""
        return not self.ingested and self.control is None

    @model_validator(mode="after")
    def _one_origin(self) -> Model:
        if not self.has_network:
            return self._without_network()
        if not self.architecture or self.fingerprints:
            raise RefusalError(
                expected="`architecture`, and `fingerprints` only of ingested activations",
                found=f"{'fingerprints' if self.architecture else 'no architecture'} for model '{self.name}'",
                remedy="Name the network, or set ingested = true where there are only activations.",
            )
        given = [key for key in ORIGINS if getattr(self, key)]
        if len(given) != 1:
            raise RefusalError(
                expected="exactly one of `weights` (a file), `pretrained` (published weights), `train` (a table) "
                "and `untrained = true`",
                found=f"{' and '.join(given) or 'none'} for model '{self.name}'",
                remedy="Load the weights or train them.",
            )
        if self.seed and not self.untrained:
            raise RefusalError(
                expected="`seed` only beside `untrained = true`",
                found=f"{given[0]} for model '{self.name}'",
                remedy="Training has a seed of its own: train = { seed = … }."
                if self.train is not None
                else "Remove it: nothing is random here.",
            )
        return self

    def _without_network(self) -> Model:
        origin = "ingested = true" if self.ingested else "control"
        given = [key for key in ("architecture", "options", "seed", *ORIGINS) if getattr(self, key)]
        if self.ingested and self.control is not None:
            given.append("control")
        if given:
            raise RefusalError(
                expected=f"no network beside `{origin}`",
                found=f"{', '.join(given)} for model '{self.name}'",
                remedy=f"Remove them, or remove `{origin.partition(' ')[0]}`.",
            )
        return self

    def starting_at(self, folder: Path) -> Model:
        """Return the model with its relative paths resolved: `weights`, and folders of Hugging Face (``./…``)."""
        changed: dict[str, Any] = {}
        if self.weights is not None:
            changed["weights"] = located(self.weights, folder)
        if isinstance(self.pretrained, str) and _is_path(self.pretrained):
            changed["pretrained"] = str(located(Path(self.pretrained), folder))
        place = self.architecture.removeprefix("hf/")
        if place != self.architecture and _is_path(place):
            changed["architecture"] = f"hf/{located(Path(place), folder)}"
        return self.model_copy(update=changed)


def located(path: Path, folder: Path) -> Path:
    """Return a path that starts at a folder where it is relative."""
    return (folder / path.expanduser()).resolve()


def _is_path(text: str) -> bool:
    """Return whether a name says by its beginning that it is a path, and no name of a registry."""
    return text.startswith(("./", "../", "/", "~"))
