"""The command that takes activations in from files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003  (cyclopts reads the annotations)
from typing import Annotated, Literal

from cyclopts import Parameter

from stitchpipe.cli.app import app, say


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class WhichArrays:
    """Which arrays of the files are layers, and how they are read and stored."""

    layer: Annotated[
        str | None, Parameter(help="Name of the layer, where the files hold a single array.")
    ] = None
    only: Annotated[
        tuple[str, ...],
        Parameter(help="Globs over names of arrays: which are layers.", negative="", show_default=False),
    ] = ()
    ids: Annotated[
        str | None,
        Parameter(
            help="Array, column or text file with the sample ids, or `range`; default: the array `ids`."
        ),
    ] = None
    labels: Annotated[
        str | None, Parameter(help="Array, column or text file with the labels; default: `labels`, if any.")
    ] = None
    groups: Annotated[
        str | None,
        Parameter(
            help="Array, column or text file with what each sample belongs to; default: each is on its own."
        ),
    ] = None
    dtype: Annotated[Literal["float16", "float32"] | None, Parameter(help="How values are stored.")] = None
    channels_last: Annotated[
        bool, Parameter(help="Images are (n, H, W, C).", negative="", show_default=False)
    ] = False
    row_groups: Annotated[int, Parameter(help="Of a split that is new.")] = 20


@app.command
def ingest(
    folder: Annotated[
        str, Parameter(help="A run's folder (made if it is not there), or a store's path or URL.")
    ],
    /,
    *files: Annotated[Path, Parameter(help="*.npy, *.npz, *.safetensors, *.parquet: the same rows in each.")],
    dataset: Annotated[str, Parameter(help="Name of the data set in the store.")],
    split: Annotated[str, Parameter(help="Name of the split: test, train, …")],
    model: Annotated[str, Parameter(help="Name of the model whose layers these are.")],
    arrays: WhichArrays = WhichArrays(),
) -> None:
    """Put activations that you already have into a store: sealed, checked, and comparable like dumped ones.

    For example, activations of a language model, one array per layer, (samples, tokens, features):

    `np.savez("acts.npz", layer0=X0, layer1=X1, ids=sample_ids)`

    `stitchpipe ingest runs/mine acts.npz --dataset text --split test --model gpt`

    Rows of two models are paired by sample id, in whatever order they come. The same content again changes
    nothing; interrupted, the same command goes on. NaN and infinity are refused before anything is written.
    """
    from stitchpipe.cli.terminal import Progress
    from stitchpipe.ingest import ingest_files

    with Progress() as progress:
        done = ingest_files(
            folder,
            files,
            dataset=dataset,
            split=split,
            model=model,
            **asdict(arrays),
            report=progress,
        )
    say(
        f"{len(done.layers)} layer{'s' * (len(done.layers) != 1)} of {done.n_samples} samples in {done.store} "
        f"({done.row_groups_written} of {done.row_groups} row groups written now)"
    )
