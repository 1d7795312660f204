"""Commands that ask about layers: which are nearest, how similar all pairs are, what changed between runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path  # noqa: TC003 - read from the annotations by the command line
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from stitchpipe.cli.app import RunAddress, app, say
from stitchpipe.cli.files_out import write_file
from stitchpipe.cli.rows_out import RowsOut

if TYPE_CHECKING:
    from stitchpipe.asking import Matrix
    from stitchpipe.asking.selection import StitchChoice

Source = Annotated[
    str,
    Parameter(name="SOURCE", help="Glob over MODEL/LAYER; a model's name stands for all its layers."),
]
Target = Annotated[str, Parameter(name="TARGET", help="The same of the targets.")]
Measure = Annotated[
    str, Parameter(help="`stitchpipe indices` lists them; those of stitches too: stitch_accuracy, ood_knn.")
]
View = Annotated[
    str | None,
    Parameter(help="Needed only where the measure was taken under several: pooled, positions, flatten."),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class WhichStitches:
    """Which stitches a measure of stitches is of, where a pair of layers has several."""

    method: Annotated[str | None, Parameter(name="--method", help="Of stitches: dm, tlm, dm_ridge(0.1).")] = (
        None
    )
    init: Annotated[str | None, Parameter(name="--init", help="Of a training: random, identity, dm.")] = None
    objective: Annotated[str | None, Parameter(name="--objective", help="What a training minimised.")] = None
    seed: Annotated[int | None, Parameter(name="--seed", help="Of a training.")] = None
    steps: Annotated[int | None, Parameter(name="--steps", help="Of a training.")] = None
    batch_size: Annotated[int | None, Parameter(name="--batch-size", help="Images of a step.")] = None
    learning_rate: Annotated[float | None, Parameter(name="--learning-rate", help="Of a training.")] = None
    weight_decay: Annotated[float | None, Parameter(name="--weight-decay", help="Of a training.")] = None
    augmented: Annotated[int | None, Parameter(name="--augmented", help="Passes of a training.")] = None
    precision: Annotated[
        str | None, Parameter(name="--precision", help="Of a training: float32, bfloat16.")
    ] = None

    @property
    def choice(self) -> StitchChoice:
        """Return what is chosen, as the questions take it."""
        given: Any = {field.name: getattr(self, field.name) for field in fields(self)}
        chosen: StitchChoice = {key: value for key, value in given.items() if value is not None}  # type: ignore[assignment]
        return chosen


@app.command
def nearest(  # noqa: PLR0913 - one option per thing to say
    place: RunAddress,
    layer: Annotated[str, Parameter(name="LAYER", help="MODEL/LAYER, or a glob that means one layer.")],
    /,
    *,
    among: Annotated[str, Parameter(help="Only these: a glob over MODEL/LAYER.")] = "*",
    measure: Measure = "cka",
    view: View = None,
    side: Annotated[
        Literal["target", "source"], Parameter(help="What LAYER is in the numbers that are looked at.")
    ] = "target",
    top: Annotated[int, Parameter(help="At most so many.")] = 10,
    stitches: WhichStitches = WhichStitches(),
    rows: RowsOut = RowsOut(),
) -> None:
    """List the layers most similar to one, with intervals and p-values.

    `stitchpipe nearest runs/quickstart A/layer2.0 --among "B/*"`
    """
    from stitchpipe.asking import nearest as nearest_layers
    from stitchpipe.run.place import RunPlace

    run = RunPlace.at(place)
    frame = nearest_layers(
        run, layer, among=among, measure=measure, view=view, side=side, top=top, **stitches.choice
    )
    rows.say(frame.drop(columns=["model", "layer"]), f"Nearest to {layer} by {measure}")


@app.command
def matrix(  # noqa: PLR0913 - one option per thing to say
    place: RunAddress,
    measure: Annotated[str, Parameter(name="MEASURE", help="Such as cka; `stitchpipe indices` lists them.")],
    source: Source = "*",
    target: Target = "*",
    /,
    *,
    view: View = None,
    column: Annotated[str, Parameter(help="What fills the matrix: value, low, high, p_family, …")] = "value",
    csv: Annotated[Path | None, Parameter(name="--csv", help="Write the numbers to this file.")] = None,
    png: Annotated[Path | None, Parameter(name="--png", help="Write a picture to this file.")] = None,
    svg: Annotated[Path | None, Parameter(name="--svg", help="Write a picture to this file.")] = None,
    stitches: WhichStitches = WhichStitches(),
) -> None:
    """Show a measure of all pairs of some layers as a heat map, sources down, targets across, in the networks' order.

    `stitchpipe matrix runs/quickstart cka A B`

    `stitchpipe matrix runs/quickstart cka A B --svg cka.svg`

    Into a pipe it is CSV. Bright is similar, whether the measure is a similarity or a distance.
    """
    from stitchpipe.asking import matrix as matrix_of
    from stitchpipe.run.place import RunPlace

    found = matrix_of(
        RunPlace.at(place), measure, source, target, view=view, column=column, **stitches.choice
    )
    pictures = ((csv, _as_csv), (png, _as_png), (svg, _as_svg))
    for path, encoded in pictures:
        if path is not None:
            write_file(path, encoded(found))
    if not any((csv, png, svg)):
        _show(found)


def _show(found: Matrix) -> None:
    """Show a matrix on a terminal; into a pipe it goes as CSV."""
    if not sys.stdout.isatty():
        sys.stdout.write(_as_csv(found).decode())
        return
    from stitchpipe.cli.console import SafeConsole
    from stitchpipe.cli.heat_maps import heat_map

    console = SafeConsole()
    say(*heat_map(found, console.width, is_coloured=console.color_system is not None))


def _as_csv(found: Matrix) -> bytes:
    import pandas as pd

    sources, targets = (list(found[side].to_numpy()) for side in ("source", "target"))
    frame = pd.DataFrame(found.to_numpy(), index=pd.Index(sources, name="source"), columns=targets)
    return frame.to_csv(lineterminator="\n").encode()


def _as_svg(found: Matrix) -> bytes:
    return found.to_svg().encode()


def _as_png(found: Matrix) -> bytes:
    from stitchpipe.asking.pictures import png_of

    return png_of(found)


@app.command
def significant(  # noqa: PLR0913 - each is an option by name
    place: RunAddress,
    measure: Annotated[str, Parameter(name="MEASURE", help="One with a null: cka, rsa, mutual_knn, …")],
    source: Source = "*",
    target: Target = "*",
    /,
    *,
    below: Annotated[float, Parameter(help="Family-wise level.")] = 0.05,
    null: Annotated[
        Literal["permuted", "closed"] | None,
        Parameter(
            help="What pairs are held against: permuted images (the largest of the family), or the closed form of that "
            "null, of any number of images (adjusted after Holm). Default: permuted, where anything was."
        ),
    ] = None,
    view: View = None,
    rows: RowsOut = RowsOut(),
) -> None:
    """List the pairs of layers that are more similar than chance, with all pairs of their family as one claim."""
    from stitchpipe.asking import significant as significant_pairs
    from stitchpipe.run.place import RunPlace

    frame = significant_pairs(RunPlace.at(place), measure, source, target, view=view, below=below, null=null)
    rows.say(frame, f"{measure}: {len(frame)} pairs with family-wise p < {below:g}")


@app.command
def diff(
    place: RunAddress,
    other: Annotated[str, Parameter(name="OTHER", help="Another run: what it changed to.")],
    /,
    *,
    what: Annotated[
        Literal["changed", "added", "removed", "contents", "versions", "declaration"] | None,
        Parameter(help="The rows of one of these; default: how many there are of each.", show_default=False),
    ] = None,
    tolerance: Annotated[float, Parameter(help="Numbers that differ by no more are equal.")] = 0.0,
    rows: RowsOut = RowsOut(),
) -> None:
    """Say what changed from one run to another: numbers, contents of layers, versions, lines of the sweep.

    `stitchpipe diff runs/before runs/after`

    `stitchpipe diff runs/before runs/after --what changed --format csv`
    """
    import pandas as pd

    from stitchpipe.asking import difference
    from stitchpipe.run.place import RunPlace

    found = difference(RunPlace.at(place), RunPlace.at(other), tolerance=tolerance)
    if what is None:
        counts = pd.DataFrame(list(found.counts().items()), columns=["what", "count"])
        rows.say(counts, f"From {found.here} to {found.there}")
    elif what == "declaration":
        rows.say(pd.DataFrame({"line": list(found.declaration)}), "Lines of the sweep that differ")
    else:
        rows.say(getattr(found, what), f"{what}, from {found.here} to {found.there}")
