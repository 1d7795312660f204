"""Controls: activations made up from labels, or taken from another model in a wrong order."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, field_validator

from stitchpipe.config.refusal import RefusalError
from stitchpipe.config.section import Section
from stitchpipe.config.values import LARGEST_SAMPLE, Amount, Seed, Size


class RandomCodes(Section):
    """A random code for each class, and noise: a source that knows the class and nothing else of an image."""

    kind: Literal["random_codes"] = Field(description="A random code for each class, and noise.")
    shape: Annotated[tuple[Size, ...], Field(min_length=1, max_length=3)] = Field(
        default=(64, 8, 8), description="Shape of a sample: (C, H, W), (T, D) or (D,)."
    )

    @field_validator("shape")
    @classmethod
    def _fits_into_memory(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if prod(shape) > LARGEST_SAMPLE:
            raise RefusalError(
                expected=f"a shape of at most {LARGEST_SAMPLE:,} numbers",
                found=f"{prod(shape):,}",
                remedy="Take fewer channels or positions.",
            )
        return shape

    noise: Amount = Field(default=1.0, description="Standard deviation of the noise; that of the codes is 1.")
    seed: Seed = Field(default=0, description="Of codes and noise.")


class Permuted(Section):
    """The activations of another model, of other samples: everything but which image is which."""

    kind: Literal["permuted"] = Field(description="The activations of model `of`, of other samples.")
    of: str = Field(min_length=1, description="Name of the model whose samples are permuted.")
    seed: Seed = Field(default=0, description="Of the order.")


Control: TypeAlias = Annotated[RandomCodes | Permuted, Field(discriminator="kind")]
"""A source without a network that a good measure must not take for a representation of the images."""
