"""Commands that answer questions: of a run, of networks, of measures."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  (cyclopts reads the annotations)
from typing import Annotated

from cyclopts import Parameter

from stitchpipe.cli.app import RunAddress, app, say, say_frame
from stitchpipe.config import ConfigError, sweep_schema_json
from stitchpipe.errors import first_line


@app.command(name="ls")
def ls(place: RunAddress) -> None:
    """List the representations of a run's store, evicted ones too, with their size on the disk."""
    from stitchpipe.asking.workspace import open_workspace
    from stitchpipe.cli.tables import representations

    say(representations(open_workspace(place)))


@app.command
def show(
    place: RunAddress, address: Annotated[str | None, Parameter(help="MODEL, or MODEL/LAYER.")] = None, /
) -> None:
    """Show what is known of a run, one of its models, or one layer: sizes, digests, provenance."""
    from stitchpipe.asking.workspace import open_workspace
    from stitchpipe.cli.tables import details

    say(details(open_workspace(place), address))


@app.command
def query(
    place: RunAddress, sql: Annotated[str, Parameter(help='One SELECT over the table "results".')], /
) -> None:
    """Answer one SQL query over the results, read-only: stitchpipe query runs/quickstart "SELECT …"."""
    from stitchpipe.run.place import RunPlace

    say_frame(RunPlace.at(place).results.query(sql))


@app.command
def indices(
    names: Annotated[
        tuple[str, ...], Parameter(name="NAME", help="Only these, in full.", show_default=False)
    ] = (),
    /,
    *,
    json: Annotated[bool, Parameter(help="As JSON, for programs.", negative="", show_default=False)] = False,
) -> None:
    """List the indices of similarity: what each is unchanged by, its range, what it is computed from, its source.

    A table of all of them; with NAMEs, what each means and how to read it. These names stand in a sweep's [[compare]]
    and in `stitchpipe.compare`; some take a number in parentheses: `gulp(0.1)`, `dm_low_rank_r2(4)`. What stitches are
    judged by and what they can be trained for stands below, what packages add among them.

    Which to begin with: `cka` (debiased, pooled), `procrustes_angle` where a metric is needed, `dm_r2` for whether the
    target can be had from the source by a linear map.
    """
    from stitchpipe.cli import measure_tables

    chosen = measure_tables.described(names)
    if json:
        sys.stdout.write(measure_tables.as_json(chosen) + "\n")
    elif names:
        say(*map(measure_tables.details, chosen))
    else:
        say(measure_tables.listing(chosen))


@app.command
def layers(
    model: Annotated[
        str,
        Parameter(
            name="MODEL", help="resnet18, timm/NAME, hf/TYPE, …; or a model of a sweep: SWEEP.toml:NAME."
        ),
    ],
    /,
    *,
    options: Annotated[
        tuple[str, ...],
        Parameter(
            name="--options", help="KEY=VALUE: an argument of the architecture; once for each.", negative=""
        ),
    ] = (),
    weights: Annotated[Path | None, Parameter(help="Checkpoint to check against the architecture.")] = None,
    size: Annotated[
        str | None, Parameter(help="Of the images, 64 or 64x96; default: what the network declares, or 224.")
    ] = None,
    cuts: Annotated[bool, Parameter(help="Only layers that can be stitched into.", negative="")] = False,
    nodes: Annotated[
        bool, Parameter(help="Functions inside modules too, such as layer1.0.add.", negative="")
    ] = False,
    json: Annotated[bool, Parameter(help="As JSON, for programs.", negative="", show_default=False)] = False,
) -> None:
    """List the layers of a network: names, shapes, and where it can be cut, so that others can be stitched into it.

    `stitchpipe layers resnet18`

    `stitchpipe layers vit_b_16 --options image_size=64 --size 64 --cuts`

    `stitchpipe layers quickstart:A`

    The names stand in a sweep's `layers`, `sources` and `targets`, as globs. A second call of a module is NAME:1. A
    layer beside which a residual passes is no cut: it can be a source of stitches, not their target. Networks that
    torch.fx cannot trace are listed by hooks, and the list says so.
    """
    from stitchpipe.cli import layer_tables

    found = layer_tables.described(model, options=options, weights=weights, size=size, nodes=nodes)
    found = layer_tables.only_cuts(found) if cuts else found
    if json:
        sys.stdout.write(layer_tables.as_json(found) + "\n")
    else:
        say(layer_tables.listing(found))


@app.command
def schema(
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Write it to this file.")] = None,
) -> None:
    """Print the JSON schema of sweep files, by which editors complete and check them.

    `stitchpipe schema --output sweep.schema.json`

    Then begin a sweep file beside it with the line

    `#:schema ./sweep.schema.json`

    Taplo reads it, the language server of TOML that "Even Better TOML" brings to VS Code. The schema knows every table,
    key and value; what depends on several tables at once, `stitchpipe plan` finds out.
    """
    if output is None:
        sys.stdout.write(sweep_schema_json())
        return
    try:
        output.write_text(sweep_schema_json(), "utf-8")
    except OSError as error:
        raise ConfigError(
            where=f"--output {output}",
            expected="a file that can be written",
            found=error.strerror or first_line(error),
            remedy="Name another place.",
        ) from None
    say(f"Written. Sweeps beside it that begin with `#:schema ./{output.name}` are completed by editors.")
