"""Models that are controls: activations made up from labels, or taken from another model in a wrong order."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stitchpipe.config.refusal import RefusalError, Section
from stitchpipe.config.values import Seed, Size  # noqa: TC001  (pydantic reads it)


class Control(Section):
    """A source without a network that a good measure must not take for a representation of the images."""

    kind: Literal["random_codes", "permuted"] = Field(
        description="random_codes: a random code for each class, and noise; permuted: the activations of model `of`, "
        "of other samples"
    )
    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)] = Field(
        default=(64, 8, 8), description="random_codes: of a sample, (C, H, W), (T, D) or (D,)"
    )
    noise: float = Field(
        default=1.0, ge=0, description="random_codes: standard deviation; that of the codes is 1"
    )
    of: str = Field(default="", description="permuted: which model")
    seed: Seed = 0

    @model_validator(mode="after")
    def _names_a_model(self) -> Control:
        if (self.kind == "permuted") != bool(self.of):
            raise RefusalError(
                expected="`of`, the model whose samples are permuted, and only there",
                found=f"kind '{self.kind}' {'with' if self.of else 'without'} it",
                remedy='Add of = "MODEL", or remove it.',
            )
        return self
