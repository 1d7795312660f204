"""The stitches of a sweep."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, field_validator

from stitchpipe.config.index_names import MapName  # noqa: TC001  (pydantic reads it)
from stitchpipe.config.refusal import RefusalError, Section
from stitchpipe.config.values import BatchSize, Count, LearningRate, Seed  # noqa: TC001  (pydantic reads them)

Init: TypeAlias = Literal["random", "identity", "dm"]
Objective: TypeAlias = Literal["hard_labels", "soft_labels", "direct_matching", "fula", "penultimate"]


class Stitch(Section):
    """A set of stitches: source layer, map, the rest of the target network."""

    method: Literal["dm", "tlm"]
    sources: tuple[str, ...] = Field(min_length=1, description="MODEL/LAYER globs")
    targets: tuple[str, ...] = Field(min_length=1, description="MODEL/LAYER globs")
    pairs: Literal["all", "self", "corresponding"] = Field(
        default="all",
        description="all: every source into every target; self: a layer into itself; "
        "corresponding: layers of the same name in different models",
    )
    maps: tuple[MapName, ...] = Field(
        default=("affine",),
        min_length=1,
        description="dm: families of least-squares maps: affine, ridge(λ), orthogonal, low_rank(r)",
    )
    init: tuple[Init, ...] = Field(
        default=("random",), min_length=1, description="tlm: where training starts"
    )
    objectives: tuple[Objective, ...] = Field(
        default=("hard_labels",),
        min_length=1,
        description="tlm: what is minimised. hard_labels: cross-entropy; soft_labels: KL from the target's answers; "
        "direct_matching: squared error, by descent; fula: relative distance in all cuts behind; penultimate: squared "
        "error before the last linear layer",
    )
    augmented: bool = Field(
        default=False, description="tlm: train on the augmented passes of [dump.augment], one an epoch"
    )
    autocast: Literal["none", "bfloat16"] = Field(default="none", description="tlm: mixed precision")
    compiled: bool = Field(default=False, description="tlm: let torch.compile fuse the rest of the network")
    seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1, max_length=1000, description="tlm")
    steps: Count = Field(default=300, description="tlm: optimiser steps")
    batch_size: BatchSize = Field(default=256, description="tlm")
    learning_rate: LearningRate = Field(default=1e-3, description="tlm: Adam")
    weight_decay: float = Field(default=1e-5, ge=0, le=1e37, description="tlm: Adam")

    @field_validator("sources", "targets")
    @classmethod
    def _addresses(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if "/" not in pattern:
                raise RefusalError(
                    expected="globs of the form MODEL/LAYER",
                    found=f"'{pattern}'",
                    remedy=f"Write '*/{pattern}'?",
                )
        return patterns
