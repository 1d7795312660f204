"""The tables that say what is written to the activation store, and where it lies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stitchpipe.config.refusal import RefusalError, Section
from stitchpipe.config.values import BatchSize, Count, Seed  # noqa: TC001  (pydantic reads them)


class Augment(Section):
    """Augmented passes over the training images, for task loss matching as it is usually done."""

    passes: int = Field(default=0, ge=0, le=1000, description="how many; each is stored beside the plain one")
    crop: int = Field(default=4, ge=0, le=2**14, description="shift by up to so many pixels, black moving in")
    flip: bool = Field(default=True, description="mirror half of the images")
    seed: Seed = Field(default=0, description="of the shifts and flips, with the number of the pass")


class Dump(Section):
    """What is written to the activation store."""

    layers: tuple[str, ...] = Field(default=("layer?.?",), min_length=1, description="globs over layer names")
    dtype: Literal["float32", "float16"] = Field(
        default="float32", description="float16 refuses what it cannot hold"
    )
    batch_size: BatchSize = Field(default=64, description="images per forward pass; part of the identity")
    row_groups: Annotated[int, Field(ge=2, le=10**6)] = Field(
        default=20, description="shards per layer and split, at least"
    )
    keep: bool = Field(
        default=True,
        description="false: activations are never written; each comparison runs the networks and keeps only sums",
    )
    view: Literal["full", "pooled", "positions"] = Field(
        default="full",
        description="what is kept of a layer: all, the mean over positions, or some positions; "
        "stitches need all",
    )
    positions: Count = Field(default=16, description="view positions: how many")
    positions_seed: Seed = Field(default=0, description="view positions: of the choice")
    autocast: Literal["none", "float16", "bfloat16"] = Field(
        default="none", description="type of convolutions and products in the forward pass"
    )
    tf32: bool = Field(default=False, description="let a GPU round factors to 10 bits")
    augment: Augment = Field(default=Augment(), description="augmented passes over the training images")
    codec: Literal["lz4", "lz4-bitshuffle", "zstd", "none"] = Field(
        default="lz4", description="zstd: a fifth smaller, a third of the speed"
    )
    chunk_kib: Annotated[int, Field(ge=1, le=2**20)] = Field(
        default=256, description="what is decoded at least for one sample, uncompressed KiB"
    )
    shard_mib: Annotated[int, Field(ge=1, le=2**20)] = Field(
        default=64, description="what a shard of the largest layer may hold, uncompressed MiB"
    )


class Store(Section):
    """Where the activation store lies and how it is read."""

    url: str | None = Field(
        default=None, description="a path or s3://bucket/prefix; default: store.zarr in the run's folder"
    )
    check_reads: bool = Field(
        default=True, description="hold every chunk that is read against its digest; recorded where it is not"
    )
    budget_gib: float | None = Field(
        default=None, gt=0, description="refuse a dump that could take more than this, before compression"
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
