"""The command that looks at every architecture of the installed libraries."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from the annotations by the command line
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from stitchpipe.cli.app import app, say

if TYPE_CHECKING:
    from stitchpipe.census import Row


@app.command
def census(  # noqa: PLR0913 - each is an option by name
    *,
    out: Annotated[str, Parameter(help="Folder of the rows, or an s3:// URL; a census goes on there.")],
    match: Annotated[
        list[str] | None, Parameter(help="Only these architectures: a glob; may be repeated.")
    ] = None,
    limit: Annotated[
        int | None, Parameter(help="So many networks at most, of as many families as can be.")
    ] = None,
    hours: Annotated[float | None, Parameter(help="Begin none after so many hours.")] = None,
    jobs: Annotated[int, Parameter(help="Networks at once, each in a process of its own.")] = 1,
    memory_gib: Annotated[
        float, Parameter(help="A network that needs more is left out, and its row says so.")
    ] = 6.0,
    timeout_s: Annotated[
        float, Parameter(help="A network that takes more processor time is left out, and its row says so.")
    ] = 300.0,
    markdown: Annotated[
        Path | None,
        Parameter(help="Write the tables of all rows that are there to this file, by family too."),
    ] = None,
    again: Annotated[bool, Parameter(help="Look again at networks that have a row.", negative="")] = False,
) -> None:
    """Split every architecture of torchvision, timm and transformers, and say which of them do what they should.

    Each is built with random weights, at the smallest images that it takes, in a process of its own: its layers are
    listed, what is captured of them is held against plain hooks, and at up to 9 cuts the tail is run on what the head
    made, and held against the whole network; joint cuts, of several layers, are tested likewise. No weights are
    fetched. A census that was cut short goes on where it was.
    """
    from stitchpipe.census import Limits, Scope, census_page, census_table, take, taken
    from stitchpipe.run.place import RunPlace

    files = RunPlace.at(out).files
    scope = Scope(
        match=match or (),
        limit=limit,
        hours=hours,
        jobs=jobs,
        again=again,
        limits=Limits(int(memory_gib * 1024), timeout_s),
    )
    take(files, scope, _tell)
    if markdown is not None:
        markdown.write_text(census_page(taken(files)), "utf-8")
    say(census_table(taken(files)))


def _tell(row: Row, done: int, total: int) -> None:
    cuts = "/".join(map(str, row.cuts_by_third)) if row.cuts_by_third else "-"
    if row.joint_cuts:
        cuts += f" and joint {'/'.join(map(str, row.joint_by_third))}"
    why = f": {row.reason}" if row.reason else ""
    say(f"{done}/{total} {row.name} {row.outcome}, cuts {cuts}, {row.seconds:.1f} s, {row.peak_mib} MiB{why}")
