"""Rules that name many models at once: what a rule says. What it expands to stands in `stitchpipe.config.expansion`."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from stitchpipe.config.layer_words import LayerChoice
from stitchpipe.config.models import TrainingRecipe
from stitchpipe.config.refusal import RefusalError
from stitchpipe.config.section import Section
from stitchpipe.config.values import NetworkOptions, On, Seed, Side

ABOUT_MEMBERS = (
    "Globs: torchvision:resnet*, timm:vit_tiny*, hf:TYPE* or hf:folder/* (folders with a config.json), installed:*, or "
    "checkpoints by path or URL (checkpoints/*.safetensors)."
)
MemberGlob: TypeAlias = Annotated[str, Field(min_length=1)]
Tags: TypeAlias = On | Annotated[str, Field(min_length=1)]


class ZooRule(Section):
    """A rule that names many models at once, with what is said of all of them.

    Each member is a model like those of [[models]], called by the name of its architecture or file. What fails in one
    of them ends nothing but that one.
    """

    models: tuple[MemberGlob, ...] = Field(
        min_length=1, examples=[["torchvision:resnet*"]], description=ABOUT_MEMBERS
    )
    exclude: tuple[MemberGlob, ...] = Field(
        default=(), description="Globs over names of members that are left out."
    )
    pretrained: Tags | None = Field(
        default=None,
        description="Published weights: true for the default ones, or their name. Default for torchvision, timm and "
        "folders of Hugging Face, where architectures without published weights are left out.",
    )
    untrained: On | None = Field(default=None, description="Random weights, a model for each of `seeds`.")
    train: TrainingRecipe | None = Field(
        default=None, description="Train on the sweep's data, a model for each of `seeds`."
    )
    seeds: tuple[Seed, ...] = Field(
        default=(0,), min_length=1, max_length=1000, description="Of random weights, or of training."
    )
    architecture: str | None = Field(
        default=None,
        min_length=1,
        description="Of checkpoints; {NAME} stands for what stands at {NAME} in the glob. Default: {architecture}, or "
        "what the header of a safetensors file says under `architecture` (and `options`, as JSON).",
    )
    options: NetworkOptions = Field(default_factory=dict, description="Arguments of the architectures.")
    size: Side | None = Field(
        default=None,
        description="Build for images of size × size those architectures that are built for one size.",
    )
    layers: LayerChoice | None = Field(
        default=None,
        description="Globs over names of layers, or words: all, cuts, blocks, stages; cuts:10 are ten of them, evenly "
        "spaced. Default: those of [dump], or blocks:10.",
    )
    prefix: str = Field(default="", description="Stands before the names of all members.")

    @model_validator(mode="after")
    def _one_origin(self) -> ZooRule:
        given = [key for key in ("pretrained", "untrained", "train") if getattr(self, key) is not None]
        if len(given) > 1:
            raise RefusalError(
                expected="one of `pretrained`, `untrained` and `train` at most",
                found=" and ".join(given),
                remedy="Keep one, or make a table of zoo for each, with a `prefix`.",
            )
        if "seeds" in self.model_fields_set and self.untrained is None and self.train is None:
            raise RefusalError(
                expected="`untrained` or `train` beside `seeds`, which does nothing without them",
                found="neither",
                remedy="Remove `seeds`, or set untrained = true.",
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise RefusalError(
                expected="seeds that differ", found=str(list(self.seeds)), remedy="Name each once."
            )
        return self

    def idle_keys(self) -> set[str]:
        """Return the keys that do nothing beside the values of the others."""
        return super().idle_keys() | (set() if self.untrained or self.train else {"seeds"})


def _shape(value: Any) -> str:
    return "table" if isinstance(value, dict | ZooRule) else "glob"


Zoo: TypeAlias = Annotated[
    Annotated[MemberGlob, Tag("glob")] | Annotated[ZooRule, Tag("table")], Discriminator(_shape)
]
"""A rule: a glob by itself, or a table that says more."""


def as_rule(rule: str | ZooRule) -> ZooRule:
    """Return a rule as a table."""
    return rule if isinstance(rule, ZooRule) else ZooRule(models=(rule,))
