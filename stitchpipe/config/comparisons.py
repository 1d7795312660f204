"""`[[compare]]` and `[certainty]`: the indices over pairs of layers, and how sure their numbers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stitchpipe import registry
from stitchpipe.config.names import IndexName, LayerMeasureName
from stitchpipe.config.refusal import RefusalError, refuse_repeats
from stitchpipe.config.section import Section
from stitchpipe.config.values import Flag

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_PERMUTATIONS = 19


def deletable(indices: Sequence[str]) -> tuple[str, ...]:
    """Return the indices by which any two representations may be compared, a layer and what is left of it too."""
    return tuple(name for name in indices if registry.index_measure(name).of_any_rows)


def demand_deletions(view: str, indices: Sequence[str]) -> None:
    """Refuse deletions under a view or by indices that cannot have them."""
    if view == "positions":
        raise RefusalError(
            expected="one row for each image, for `deletions`, which are probed",
            found="view 'positions', where an image has several",
            remedy="Ask for them under 'pooled' or 'flatten'.",
        )
    if not deletable(indices):
        raise RefusalError(
            expected="an index that compares any two representations, for `deletions`",
            found=", ".join(indices),
            remedy="Add one, for example `cka`.",
        )


class Compare(Section):
    """One table of indices over all pairs of layers, under one view."""

    view: Literal["positions", "pooled", "flatten"] = Field(
        examples=["pooled"],
        description="What a row is. positions: every spatial position or token; pooled: an image, its mean over "
        "positions; flatten: an image, all its values.",
    )
    indices: tuple[IndexName, ...] = Field(
        min_length=1,
        examples=[["cka"]],
        description="Indices of similarity; `stitchpipe indices` lists them.",
    )

    layer_measures: tuple[LayerMeasureName, ...] = Field(
        default=(),
        examples=[["participation_ratio"]],
        description="Measures of each layer by itself; `stitchpipe indices` lists them, the table `layers` of "
        "`stitchpipe query` has their numbers.",
    )

    deletions: Flag = Field(
        default=False,
        description="Hold each layer against its own first principal components, by the indices of the table beside a "
        "linear probe: up to twelve ranks a layer. The study which-index ranks indices by it; needs labels.",
    )

    @property
    def deletion_indices(self) -> tuple[str, ...]:
        """The indices that low-rank deletions are held against the whole layer by; none where none are asked for."""
        return deletable(self.indices) if self.deletions else ()

    @model_validator(mode="after")
    def _deletions_can_be_had(self) -> Compare:
        if self.deletions:
            demand_deletions(self.view, self.indices)
        return self

    @model_validator(mode="after")
    def _one_row_for_each_image(self) -> Compare:
        refuse_repeats("layer_measures", self.layer_measures)
        refused = [name for name in self.layer_measures if registry.layer_measure(name).independent_rows]
        if self.view == "positions" and refused:
            raise RefusalError(
                expected=f"one row for each image, for `{refused[0]}`",
                found="view 'positions', where an image has several",
                remedy="Ask for it under 'pooled' or 'flatten'.",
            )
        return self

    @model_validator(mode="after")
    def _independent_rows(self) -> Compare:
        refuse_repeats("indices", self.indices)
        refused = [name for name in self.indices if registry.index_measure(name).independent_rows]
        if self.view == "positions" and refused:
            raise RefusalError(
                expected=f"independent rows for `{refused[0]}`",
                found="view 'positions', where the rows of one image are not",
                remedy="Ask for it under 'pooled' or 'flatten'"
                + (", or for `cka_biased` here." if refused[0] == "cka" else "."),
            )
        return self


class Certainty(Section):
    """How sure the numbers of comparisons are."""

    intervals: Flag = Field(
        default=True, description="95 % intervals, by leaving out one group of images at a time."
    )
    permutations: Annotated[int, Field(strict=True, ge=0, le=10**6)] = Field(
        default=200,
        description="Permutations of images, for p-values and calibrated scores; 0 for none, otherwise at least 19.",
    )
    family: Literal["models", "targets", "run", "none"] = Field(
        default="models",
        description="Which pairs make one claim, for family-wise p-values and scores. models: all layers of two "
        "models; targets: each target layer with all layers of another model; run: all pairs of different models.",
    )

    @field_validator("permutations")
    @classmethod
    def _enough(cls, count: int) -> int:
        if count != 0 and count < LEAST_PERMUTATIONS:
            raise RefusalError(
                expected=f"0, or at least {LEAST_PERMUTATIONS}: fewer cannot reach p = .05",
                found=str(count),
                remedy="200 resolve p-values down to .005.",
            )
        return count

    @model_validator(mode="after")
    def _families_have_permutations(self) -> Certainty:
        if "family" in self.model_fields_set and "family" in self.idle_keys():
            raise RefusalError(
                expected="permutations for `family`, which does nothing without them",
                found="permutations = 0",
                remedy="Remove `family`, or set `permutations = 200`.",
            )
        return self

    def idle_keys(self) -> set[str]:
        """Return the keys that do nothing beside the values of the others."""
        return super().idle_keys() | (set() if self.permutations else {"family"})

    @property
    def family_kind(self) -> Literal["models", "targets", "run"] | None:
        """Return which pairs make one claim; None where each stands for itself alone."""
        return None if self.family == "none" or not self.permutations else self.family
