"""Commands that run a sweep, or a step of it."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from stitchpipe.cli.app import Out, Scheduler, SweepFile, app, say
from stitchpipe.config import ConfigError, load

if TYPE_CHECKING:
    from collections.abc import Sequence


@app.command
def quickstart(*, out: Out = None, scheduler: Scheduler = None) -> None:
    """Run the whole pipeline on bundled data: three small networks on handwritten digits.

    Trains the networks, dumps their activations, compares all pairs of layers, stitches, checks how far out
    of distribution the stitched representations are, and writes a report. Takes about two minutes on two cores;
    interrupted, it goes on where it was; finished, it only shows what is there.
    """
    _run("quickstart", out, scheduler=scheduler)


@app.command
def run(sweep: SweepFile, *, out: Out = None, scheduler: Scheduler = None) -> None:
    """Run every step of a sweep: train, dump, compare, stitch, report. What is there already is kept."""
    _run(sweep, out, scheduler=scheduler)


@app.command
def inspect(sweep: SweepFile, *, out: Out = None) -> None:
    """Build every network once and leave on record what it consists of: layers, cuts, shapes.

    `run` and `dump` do this by themselves. Whatever comes after reads the records and builds no network to learn its
    layers again.
    """
    _run(sweep, out, steps=("inspect",))


@app.command
def dump(
    sweep: SweepFile,
    *,
    out: Out = None,
    part: Annotated[
        str, Parameter(name="--part", help="K/N: the K-th of N parts, for N processes that share a dump.")
    ] = "1/1",
) -> None:
    """Train or load the models and write their activations to the store.

    One forward pass for all layers; what is sealed is skipped, what was interrupted goes on. With --part, several
    GPUs or machines write disjoint shards of the same dump; whoever is last seals it.
    """
    _run(sweep, out, steps=("inspect", "train", "dump"), part=part)


@app.command
def compare(sweep: SweepFile, *, out: Out = None, scheduler: Scheduler = None) -> None:
    """Compute the indices of all pairs of layers from a dumped store."""
    _run(sweep, out, steps=("compare",), scheduler=scheduler)


@app.command
def stitch(sweep: SweepFile, *, out: Out = None, scheduler: Scheduler = None) -> None:
    """Make the declared stitches from a dumped store and judge them: accuracy, and how far out of distribution."""
    _run(sweep, out, steps=("stitch",), scheduler=scheduler)


@app.command
def report(sweep: SweepFile, *, out: Out = None) -> None:
    """Write the page and its figures from the results that are there."""
    _run(sweep, out, steps=("report",))


@app.command
def plan(sweep: SweepFile, *, out: Out = None) -> None:
    """Print the sweep with its defaults, and what it would read, form, hold and train. Runs nothing."""
    from stitchpipe.cli.plan_tables import describe
    from stitchpipe.run import Run

    declared = load(sweep)
    say(describe(Run.open(declared, _place(declared.name, out))))


def _run(
    sweep: str,
    out: str | None,
    *,
    steps: Sequence[str] = ("inspect", "train", "dump", "compare", "stitch", "report"),
    scheduler: str | None = None,
    part: str = "1/1",
) -> None:
    from stitchpipe.cli.tables import summary, times
    from stitchpipe.cli.terminal import Progress
    from stitchpipe.run import Run
    from stitchpipe.steps import check, parse_part
    from stitchpipe.steps import inspect as inspect_network

    declared = load(sweep)
    parse_part(part)
    opened = Run.open(declared, _place(declared.name, out))
    check(opened, steps)
    if (
        "inspect" in steps
    ):  # the check had to find the layers: whoever opens the run next finds them on record
        for model in opened.sweep.networks:
            inspect_network(opened, model.name)
    with Progress() as progress:
        _runner()(sweep, opened.place.url, steps=steps, scheduler=scheduler, progress=progress, part=part)
    say(*([summary(opened.place)] if "report" in steps else []), times(opened.place))


def _runner() -> Any:
    """Return what runs a sweep: an entry point, so that this package never imports the flows."""
    found = entry_points(group="stitchpipe.runners", name="prefect")
    if not found:
        raise ConfigError(
            where="this installation",
            expected="the runner 'prefect' (entry point group stitchpipe.runners)",
            found="none",
            remedy="Install the project with `pip install .` (or `make install`).",
        )
    return next(iter(found)).load()


def _place(name: str, out: str | None) -> str:
    """Return where a run lies: where the user says, or in a folder of the sweep's name."""
    return str(Path("runs") / name) if out is None else out
