"""`[run]`: what of a machine a run uses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stitchpipe.config.section import Section
from stitchpipe.config.values import Few, Many


class RunSettings(Section):
    """Where the work is done. Results do not depend on it beyond the last digits of floating-point sums."""

    workers: Few = Field(
        default=2, description="Dask worker processes of the local cluster, one thread each."
    )
    memory_limit_bytes: Annotated[int, Field(strict=True, ge=2**26, le=2**50)] = Field(
        default=2 * 2**30, description="Memory of a worker; tiles are planned to stay below it."
    )
    products: Literal["float64", "float32"] = Field(
        default="float64",
        description="Precision in which blocks of rows are multiplied; sums are float64. float32 is about twice as "
        "fast and right to about 6 digits.",
    )
    backend: Literal["numpy", "torch"] = Field(
        default="numpy",
        description="Array library of these products; torch forms them on run.device, one local worker per GPU.",
    )
    stitches_at_once: Few | None = Field(
        default=None,
        description="Stitches that share a call of the target network; default: 1 on a CPU, on a GPU what fits.",
    )
    torch_threads: Few = Field(
        default=1,
        description="Threads of forward passes and training; no faster with two on two shared cores.",
    )
    processes: Annotated[int, Field(ge=0, le=1024)] = Field(
        default=0,
        description="units of work at a time, each in a process of its own (models that train, dumps, target layers "
        "that are stitched into); 0: as many as there are cores for torch_threads each, on a GPU one",
    )
    unit_timeout_s: Annotated[float, Field(strict=True, gt=0, le=10**7)] | None = Field(
        default=None, description="End a unit of work that takes longer, seconds; default: none is ended."
    )
    cluster_patience_s: Annotated[float, Field(strict=True, gt=0, le=10**6)] = Field(
        default=10.0, description="How long workers of a named Dask scheduler may take to appear, seconds."
    )
    writers: Few | None = Field(
        default=None, description="Threads that compress a dump; default: 1, and 4 beside a GPU."
    )
    queue_mib: Many = Field(default=128, description="What of a dump may wait to be written, MiB.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where forward passes and training run, and products by torch."
    )
