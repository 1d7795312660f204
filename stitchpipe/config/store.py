"""The tables that say what is written to the activation store, and where it lies."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from stitchpipe.config.layer_words import LayerChoice
from stitchpipe.config.refusal import RefusalError
from stitchpipe.config.section import Beside, Section
from stitchpipe.config.values import Count, Flag, Many, Pixels, Seed


class Augment(Section):
    """Augmented splits of the training images, for task loss matching as it is usually done."""

    passes: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        examples=[5], description="How many augmented splits; each is stored beside the plain one."
    )
    crop: Pixels = Field(default=4, description="Shift by up to so many pixels, black moving in.")
    flip: Flag = Field(default=True, description="Mirror half of the images.")
    seed: Seed = Field(
        default=0, description="Of the shifts and flips, with the number of the augmented split."
    )


class Dump(Section):
    """What is written to the activation store."""

    BESIDE: ClassVar[tuple[Beside, ...]] = (
        Beside(("positions", "positions_seed"), "view", ("positions",)),
        Beside(("augment", "codec", "chunk_kib"), "keep", (True,)),
    )

    layers: LayerChoice = Field(
        default=("blocks",),
        description="Globs over names of layers, or words (all, cuts, blocks, stages, cuts:10), for models without "
        "`layers`; each must fit in one of them, and each of them must have one that fits.",
    )
    dtype: Literal["float32", "float16"] = Field(
        default="float32", description="Of stored values; float16 refuses what it cannot hold."
    )
    batch_size: Many = Field(
        default=64, description="Images in a forward pass; part of what a dump is known by."
    )
    row_groups: Annotated[int, Field(strict=True, ge=2, le=10**6)] = Field(
        default=20, description="Shards of a layer and split, at least."
    )
    keep: Flag = Field(
        default=True,
        description="false: activations are never written; each comparison runs the networks and keeps only sums.",
    )
    view: Literal["full", "pooled", "positions"] = Field(
        default="full",
        description="What is kept of a layer: all, the mean over positions, or some positions; stitches need all.",
    )
    positions: Count = Field(
        default=16, description="How many positions of an image, under view = 'positions'."
    )
    positions_seed: Seed = Field(default=0, description="Of the choice of positions.")
    autocast: Literal["none", "float16", "bfloat16"] = Field(
        default="none", description="Type of convolutions and products in the forward pass."
    )
    tf32: Flag = Field(default=False, description="Let a GPU round factors to 10 bits.")
    augment: Augment | None = Field(default=None, description="Augmented splits of the training images.")
    codec: Literal["lz4", "lz4-bitshuffle", "zstd", "none"] = Field(
        default="lz4", description="How shards are compressed; zstd: a fifth smaller, a third of the speed."
    )
    chunk_kib: Many = Field(
        default=256, description="What is decoded at least for one sample, uncompressed KiB."
    )
    shard_mib: Many = Field(
        default=64, description="What a shard of the largest layer may hold, uncompressed MiB."
    )


class Store(Section):
    """Where the activation store lies and how it is read."""

    url: str | None = Field(
        default=None, description="A path or s3://bucket/prefix; default: store.zarr in the run's folder."
    )
    check_reads: Flag = Field(
        default=True,
        description="Hold every chunk that is read against its digest; it is recorded where that is not done.",
    )
    budget_gib: Annotated[float, Field(strict=True, gt=0, le=2.0**40)] | None = Field(
        default=None, description="Refuse a dump that could take more than this, before compression."
    )

    @field_validator("url")
    @classmethod
    def _a_place(cls, url: str | None) -> str | None:
        if url is not None and "://" in url and not url.startswith(("s3://", "file://")):
            raise RefusalError(
                expected="a path, file://… or s3://bucket/prefix",
                found=f"'{url}'",
                remedy="Name a directory, or a bucket with the S3 interface.",
            )
        return url
