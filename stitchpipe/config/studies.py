"""The studies of a sweep, told apart by their name: what each is asked about, and at which budget.

What a study expands to stands in `stitchpipe.config.study_tables`, the study itself in `stitchpipe.studies`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from stitchpipe.config.comparisons import demand_deletions
from stitchpipe.config.layer_words import LayerChoice
from stitchpipe.config.names import IndexName, LayerMeasureName
from stitchpipe.config.section import Section
from stitchpipe.config.values import Count, Flag, LearningRate, Many, Seed

Name: TypeAlias = Annotated[str, Field(min_length=1)]


class StudySection(Section):
    """A question of the literature: it adds the comparisons and stitches that it needs to the sweep."""

    name: str
    models: tuple[Name, ...] = Field(
        default=("*",),
        min_length=1,
        description="Globs over names of models: the networks that are stitched.",
    )


class ComparingStudy(StudySection):
    """A study that needs indices over all pairs of layers."""

    view: Literal["positions", "pooled", "flatten"] = Field(
        default="pooled", description="What a row of the comparisons is; see [[compare]]."
    )
    indices: tuple[IndexName, ...] = Field(
        default=("cka", "procrustes_angle", "mutual_knn", "rsa", "dm_r2"),
        min_length=1,
        description="Indices over all pairs of layers.",
    )


class StitchingStudy(StudySection):
    """A study that needs stitches, all trainings of them at one budget."""

    layers: LayerChoice = Field(
        default=("*",),
        description="Globs over names of dumped layers, or words, that are stitched: of 10 layers 100 stitches of a "
        "kind. `stitchpipe plan` says what it costs.",
    )
    seeds: tuple[Seed, ...] = Field(
        default=(0,), min_length=1, max_length=1000, description="One training for each."
    )
    batch_size: Many = Field(default=256, description="Images in a step.")
    learning_rate: LearningRate = Field(default=1e-3, description="Of Adam.")

    @property
    def budgets(self) -> tuple[int, ...]:
        """The numbers of steps that are trained for."""
        return ()


class OneBudgetStudy(StitchingStudy):
    """A study whose trainings all take the same number of steps."""

    steps: Count = Field(default=300, description="Steps of the optimiser, the same for every training.")

    @property
    def budgets(self) -> tuple[int, ...]:
        """The number of steps that is trained for."""
        return (self.steps,)


class SelfStudy(OneBudgetStudy):
    """Whether any layer is more similar to a layer than the layer itself, by direct matching and by task loss."""

    name: Literal["self"] = Field(description="Whether a layer is the most similar one to itself.")


class CorrespondenceStudy(ComparingStudy, OneBudgetStudy):
    """Whether the corresponding layer of another network is the best source, by indices and by stitches."""

    name: Literal["correspondence"] = Field(
        description="Whether corresponding layers are the most similar ones."
    )


class DistanceStudy(ComparingStudy, OneBudgetStudy):
    """Whether similarity falls with the number of layers between, early → late and late → early."""

    name: Literal["distance"] = Field(description="Whether similarity falls with the layers between.")


class OodStudy(OneBudgetStudy):
    """Whether stitched representations stay in the target's distribution, from the identity too."""

    name: Literal["ood"] = Field(description="Whether stitched representations stay in distribution.")


class BudgetStudy(StitchingStudy):
    """How accuracy and drift of task loss matching go with the steps of its training."""

    name: Literal["budget"] = Field(description="How task loss matching goes with its budget.")
    steps: tuple[Count, ...] = Field(
        default=(30, 100, 300), min_length=2, description="Steps of the optimiser, a training for each."
    )

    @property
    def budgets(self) -> tuple[int, ...]:
        """The numbers of steps that are trained for."""
        return tuple(dict.fromkeys(self.steps))


class DmOrNotStudy(OneBudgetStudy):
    """Direct matching beside trainings for the task, for features of the target, and from the least-squares map."""

    name: Literal["dm-or-not"] = Field(description="Direct matching beside trainings at one budget.")


class SamplesStudy(ComparingStudy):
    """How every index goes with the number of images: asked of several runs, each with a limit of its own."""

    name: Literal["samples"] = Field(description="How indices go with the number of images.")


class ControlsStudy(ComparingStudy):
    """What every index says where the answer is known: of random codes, permuted images, random weights."""

    name: Literal["controls"] = Field(description="What indices say of controls.")


class DataSetsStudy(ComparingStudy):
    """Whether pairs of layers rank alike on two data sets or splits: asked of two runs."""

    name: Literal["data-sets"] = Field(description="Whether pairs rank alike in two runs.")


class WhichIndexStudy(ComparingStudy, OneBudgetStudy):
    """Which index tells layers, and families of networks, apart, and agrees with what stitches do."""

    name: Literal["which-index"] = Field(description="Which index tells best what is known.")
    deletions: Flag = Field(
        default=False,
        description="Hold each layer against its own first principal components too, see [[compare]].",
    )

    @model_validator(mode="after")
    def _deletions_can_be_had(self) -> Self:
        if self.deletions:
            demand_deletions(self.view, self.indices)
        return self


class DepthStudy(StudySection):
    """How measures of single layers go with the depth of a network."""

    name: Literal["depth"] = Field(description="How measures of single layers go with depth.")
    view: Literal["pooled", "flatten"] = Field(
        default="pooled", description="What a row is: an image, see [[compare]]."
    )
    measures: tuple[LayerMeasureName, ...] = Field(
        default=("participation_ratio", "effective_rank", "two_nn"),
        min_length=1,
        description="Measures of each layer by itself; linear_probe needs labels.",
    )


StudyTable: TypeAlias = Annotated[
    SelfStudy
    | CorrespondenceStudy
    | DistanceStudy
    | OodStudy
    | BudgetStudy
    | SamplesStudy
    | DmOrNotStudy
    | ControlsStudy
    | DataSetsStudy
    | WhichIndexStudy
    | DepthStudy,
    Field(discriminator="name"),
]
"""A study, by its name."""
