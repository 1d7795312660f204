"""Commands by which somebody begins: sweeps that are shipped, and a first one of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stitchpipe.cli.app import app, say
from stitchpipe.cli.files_out import write_new_file
from stitchpipe.cli.rows_out import RowsOut


@app.command
def gallery(
    name: Annotated[
        str | None, Parameter(name="NAME", help="One of them, to be printed or copied.", show_default=False)
    ] = None,
    /,
    *,
    copy_to: Annotated[
        Path | None, Parameter(name="--copy-to", help="Write NAME to this file, to be changed.")
    ] = None,
    rows: RowsOut = RowsOut(),
) -> None:
    """List the sweeps that come with stitchpipe: each runs as it is, on bundled data, without weights or a GPU.

    `stitchpipe run controls`

    `stitchpipe gallery controls --copy-to mine.toml`
    """
    import pandas as pd

    from stitchpipe.config.text import shipped_text, shipped_titles

    if name is None:
        titles = shipped_titles()
        rows.say(pd.DataFrame({"sweep": list(titles), "what it asks": list(titles.values())}), "Gallery")
    elif copy_to is None:
        sys.stdout.write(shipped_text(name))
    else:
        write_new_file(copy_to, shipped_text(name).encode())
        say(f"Next  stitchpipe plan {copy_to}")


@app.command
def init(
    folder: Annotated[
        Path, Parameter(name="FOLDER", help="Of images: FOLDER/train/CLASS/*, FOLDER/test/CLASS/*.")
    ],
    models: Annotated[
        tuple[str, ...],
        Parameter(
            name="MODEL",
            help="resnet18, timm/vit_tiny_patch16_224, hf/TYPE; a glob such as torchvision:resnet*; or a checkpoint.",
        ),
    ] = ("resnet18", "resnet34"),
    /,
    *,
    weights: Annotated[
        Literal["pretrained", "untrained", "train"], Parameter(help="Where those of architectures come from.")
    ] = "pretrained",
    output: Annotated[
        Path | None,
        Parameter(name=["--output", "-o"], help="The file; default: the folder's name and .toml."),
    ] = None,
) -> None:
    """Write a first sweep, with comments, for a folder of images and some models. Nothing is ever overwritten.

    `stitchpipe init images resnet18 timm/vit_tiny_patch16_224`
    """
    from stitchpipe.config.starting import first_sweep
    from stitchpipe.data.folder_at_a_glance import glance

    path = Path(f"{folder.resolve().name}.toml") if output is None else output
    images = glance(folder, path.resolve().parent)
    text = first_sweep(path.stem, images, models, weights, path.resolve().parent)
    write_new_file(path, text.encode())
    say(f"Next  stitchpipe plan {path}", f"Next  stitchpipe run {path}")
