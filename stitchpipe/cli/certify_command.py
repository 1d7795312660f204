"""The command that simulates how sure numbers are: coverage of intervals, and false findings of nulls."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read from the annotations by the command line
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from stitchpipe.cli.app import app, say

if TYPE_CHECKING:
    from stitchpipe.certification import Block, Progress


@app.command
def certify(  # noqa: PLR0913 - each is an option by name
    *,
    out: Annotated[
        str, Parameter(help="Folder of the counts, or an s3:// URL; a certification goes on there.")
    ],
    n: Annotated[list[int] | None, Parameter(help="Images; may be repeated. Default: 200, 1000.")] = None,
    width: Annotated[list[int] | None, Parameter(help="Features; may be repeated. Default: 16, 64.")] = None,
    zoo: Annotated[
        list[int] | None, Parameter(help="Layers of a null zoo; may be repeated. Default: 2, 5, 50.")
    ] = None,
    repeats: Annotated[
        int | None,
        Parameter(
            help="Of each cell, in multiples of 50. Default: 1000, and 400 of zoos of 20 layers and more."
        ),
    ] = None,
    seed: Annotated[int, Parameter(help="Of all random numbers.")] = 0,
    limit: Annotated[float | None, Parameter(help="Begin nothing after so many seconds.")] = None,
    processes: Annotated[int, Parameter(help="Processes, one thread each.")] = 1,
    markdown: Annotated[
        Path | None, Parameter(help="Write the tables of everything that is there to this file.")
    ] = None,
) -> None:
    """Simulate every index under every view and regime, and say how often intervals and nulls keep their word.

    Layers are drawn again and again from populations whose truth is known: Gaussian, with heavy tails, of clustered
    images. Intervals are to hold what they are for in 93 to 97 %, and nulls to find something in at most 6 % of zoos
    that have nothing in common. Each share is judged with its Monte-Carlo error. A certification that was cut short
    goes on where it was.
    """
    from stitchpipe.certification import Scope, certification_page, progress, taken
    from stitchpipe.certification import certify as certified
    from stitchpipe.run.place import RunPlace

    files, common = RunPlace.at(out).files, Scope()
    scope = Scope(
        tuple(n or common.n), tuple(width or common.widths), tuple(zoo or common.zoos), repeats, seed
    )
    planned = progress(files, scope)
    say(
        f"{len(scope.cells())} cells in {planned.blocks} blocks, {planned.done} of them there already. "
        f"About {planned.left_s / 60:.0f} processor minutes are left, {planned.left_s / 60 / processes:.0f} minutes "
        f"with {processes} process{'' if processes == 1 else 'es'}."
    )
    certified(files, scope, _tell, limit_s=limit, processes=processes)
    page = certification_page(taken(files, seed))
    if markdown is not None:
        markdown.write_text(page, "utf-8")
    say(page)


def _tell(block: Block, progress: Progress) -> None:
    say(
        f"{progress.done}/{progress.blocks} {block.cell.name}, block {block.number}, {block.processor_s:g} s; "
        f"about {progress.left_s / 60:.0f} processor minutes left"
    )
