"""Commands that answer questions: of a run, of networks, of measures."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  (cyclopts reads the annotations)
from typing import Annotated, Literal

from cyclopts import Parameter

from stitchpipe.cli.app import RunAddress, app, say
from stitchpipe.cli.files_out import write_file
from stitchpipe.cli.rows_out import RowsOut


@app.command(name="ls")
def ls(
    place: RunAddress,
    models: Annotated[
        str | None,
        Parameter(name="MODEL", help="List the layers of these models: a glob.", show_default=False),
    ] = None,
    /,
    *,
    rows: RowsOut = RowsOut(),
) -> None:
    """List what a run's store holds: its models, with their bytes on the disk, or layer by layer those of MODEL.

    Evicted ones are listed too.
    """
    from stitchpipe.asking.workspace import open_workspace
    from stitchpipe.cli import store_tables

    workspace = open_workspace(place)
    if models is None:
        frame = store_tables.by_model(workspace)
        rows.say(frame, workspace.place.url, for_people=store_tables.models_for_people)
    else:
        frame = store_tables.by_layer(workspace, models)
        rows.say(frame, workspace.place.url, for_people=store_tables.layers_for_people)


@app.command
def show(
    place: RunAddress,
    address: Annotated[
        str | None, Parameter(name="ADDRESS", help="MODEL, or MODEL/LAYER.", show_default=False)
    ] = None,
    /,
    *,
    format: Annotated[  # noqa: A002 - what the option is called
        Literal["table", "json"], Parameter(help="json: one document, for programs.")
    ] = "table",
) -> None:
    """Show what is known of a run, one of its models, or one layer: sizes, digests, provenance."""
    from stitchpipe.asking.workspace import open_workspace
    from stitchpipe.cli.documents import document, for_people
    from stitchpipe.cli.rows_out import as_json

    facts = document(open_workspace(place), address)
    if format == "json":
        sys.stdout.write(as_json(facts))
    else:
        say(*for_people(facts))


@app.command
def query(
    place: RunAddress,
    sql: Annotated[
        str | None,
        Parameter(
            name="SQL",
            help="One SELECT; without it, the tables and their columns.",
            show_default=False,
        ),
    ] = None,
    /,
    *,
    rows: RowsOut = RowsOut(),
) -> None:
    """Answer one SQL query over a run, read-only. Without SQL, list the tables and what their columns mean.

    The tables: `results`, a row per number; `stitches`, a row per stitch with its measures side by side;
    `layers`, the numbers of single layers; `representations`, what the store holds; `models`; `runs`, the commands that
    worked on it. The dialect is DuckDB's.

    How similar are two networks, layer by layer?

    `SELECT source_layer, target_layer, value, low, high FROM results WHERE index = 'cka' AND source_model = 'A' AND
    target_model = 'B' ORDER BY source_depth, target_depth`

    Which pairs are more similar than chance, all claims together?

    `SELECT source_model, source_layer, target_model, target_layer, value, p_family FROM results WHERE index = 'cka' AND
    p_family < .05 ORDER BY p_family`

    Which stitches keep the accuracy, but are far out of distribution?

    `SELECT source_model, source_layer, target_layer, method, accuracy, ood_mahalanobis FROM stitches WHERE
    relative_accuracy > .95 ORDER BY ood_mahalanobis DESC LIMIT 10`

    How many bytes does each model take?

    `SELECT model, count(DISTINCT layer) AS layers, sum(bytes) AS bytes FROM representations GROUP BY ALL`

    Why is there no number?

    `SELECT status, reason, index, count(*) AS numbers FROM results WHERE status <> 'ok' GROUP BY ALL ORDER BY ALL`
    """
    from stitchpipe.run.place import RunPlace
    from stitchpipe.run.tables_beside import tables_beside

    run = RunPlace.at(place)
    run.demand_begun()
    if sql is None:
        from stitchpipe.results import described_tables

        rows.say(described_tables(tables_beside(run)))
    else:
        rows.say(run.results.query(sql, beside=tables_beside(run)))


@app.command
def indices(
    names: Annotated[
        tuple[str, ...], Parameter(name="NAME", help="Only these, in full.", show_default=False)
    ] = (),
    /,
    *,
    rows: RowsOut = RowsOut(),
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
    records = measure_tables.records(chosen)
    rows.say_listing(
        lambda: measure_tables.all_details(chosen) if names else measure_tables.listing(chosen),
        records,
        records,
    )


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
    rows: RowsOut = RowsOut(),
) -> None:
    """List the layers of a network: names, shapes, and where it can be cut, so that others can be stitched into it.

    `stitchpipe layers resnet18`

    `stitchpipe layers vit_b_16 --options image_size=64 --size 64 --cuts`

    `stitchpipe layers quickstart:A`

    The names stand in a sweep's `layers`, `sources` and `targets`, as globs. A second call of a module is NAME:1. A
    layer beside which a residual passes is no cut: it can be a source of stitches, not their target. Of networks that
    run branches side by side, joint cuts are listed: `a+b`, layers that are a cut together. Networks that torch.fx
    cannot trace are listed by hooks, and the list says so.
    """
    from stitchpipe.cli import layer_tables

    found = layer_tables.described(model, options=options, weights=weights, size=size, nodes=nodes)
    found = layer_tables.only_cuts(found) if cuts else found
    document = layer_tables.document(found)
    rows.say_listing(lambda: layer_tables.listing(found), document, document["layers"])


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
    from stitchpipe.config import sweep_schema_json

    if output is None:
        sys.stdout.write(sweep_schema_json())
        return
    write_file(output, sweep_schema_json().encode())
    say(f"Sweeps beside it that begin with `#:schema ./{output.name}` are completed by editors.")
