"""Commands that run a sweep, or a step of it."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from stitchpipe.cli.app import Limit, Only, Out, RetryFailed, Scheduler, SweepFile, app, say
from stitchpipe.config import ConfigError, load, restricted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Sweep


@app.command
def quickstart(*, out: Out = None, scheduler: Scheduler = None, retry_failed: RetryFailed = False) -> None:
    """Run the whole pipeline on bundled data: three small networks on handwritten digits.

    Trains the networks, dumps their activations, compares all pairs of layers, stitches, checks how far out
    of distribution the stitched representations are, and writes a report. Takes about two minutes on two cores;
    interrupted, it goes on where it was; finished, it only shows what is there.
    """
    _run(load("quickstart"), out, scheduler=scheduler, retry_failed=retry_failed)


@app.command
def run(
    sweep: SweepFile,
    *,
    out: Out = None,
    scheduler: Scheduler = None,
    retry_failed: RetryFailed = False,
    only: Only = (),
    limit: Limit = None,
) -> None:
    """Run every step of a sweep: train, dump, compare, stitch, report. What is there already is kept.

    A network that fails ends nothing but what depends on it: the others go on, the end says what failed, and the exit
    code is 3. The next run tries again what may pass by itself. Several runs of one sweep at a time share its work.
    """
    _run(_part(sweep, only, limit), out, scheduler=scheduler, retry_failed=retry_failed)


@app.command
def inspect(
    sweep: SweepFile,
    *,
    out: Out = None,
    retry_failed: RetryFailed = False,
    only: Only = (),
    limit: Limit = None,
) -> None:
    """Build every network once and leave on record what it consists of: layers, cuts, shapes.

    `run` and `dump` do this by themselves. Whatever comes after reads the records and builds no network to learn its
    layers again.
    """
    _run(_part(sweep, only, limit), out, steps=("inspect",), retry_failed=retry_failed)


@app.command
def dump(
    sweep: SweepFile,
    *,
    out: Out = None,
    part: Annotated[
        str, Parameter(name="--part", help="K/N: the K-th of N parts, for N processes that share a dump.")
    ] = "1/1",
    retry_failed: RetryFailed = False,
    only: Only = (),
    limit: Limit = None,
) -> None:
    """Train or load the models and write their activations to the store.

    One forward pass for all layers; what is sealed is skipped, what was interrupted goes on. With --part, several
    GPUs or machines write disjoint shards of the same dump; whoever is last seals it.
    """
    steps = ("inspect", "train", "dump")
    _run(_part(sweep, only, limit), out, steps=steps, part=part, retry_failed=retry_failed)


@app.command
def compare(
    sweep: SweepFile,
    *,
    out: Out = None,
    scheduler: Scheduler = None,
    retry_failed: RetryFailed = False,
    only: Only = (),
    limit: Limit = None,
) -> None:
    """Compute the indices of all pairs of layers from a dumped store."""
    chosen = _part(sweep, only, limit)
    _run(chosen, out, steps=("compare",), scheduler=scheduler, retry_failed=retry_failed)


@app.command
def stitch(
    sweep: SweepFile,
    *,
    out: Out = None,
    scheduler: Scheduler = None,
    retry_failed: RetryFailed = False,
    only: Only = (),
    limit: Limit = None,
) -> None:
    """Make the declared stitches from a dumped store and judge them: accuracy, and how far out of distribution."""
    chosen = _part(sweep, only, limit)
    _run(chosen, out, steps=("stitch",), scheduler=scheduler, retry_failed=retry_failed)


@app.command
def report(sweep: SweepFile, *, out: Out = None, only: Only = (), limit: Limit = None) -> None:
    """Write the page and its figures from the results that are there."""
    _run(_part(sweep, only, limit), out, steps=("report",))


@app.command
def plan(
    sweep: SweepFile,
    *,
    out: Out = None,
    inspect_first: Annotated[
        bool,
        Parameter(
            name="--inspect",
            negative="",
            help="Build every network that is not on record yet, to know its layers.",
        ),
    ] = False,
    only: Only = (),
    limit: Limit = None,
) -> None:
    """Print the sweep with its defaults, what is there already, and what the rest would read, form, hold and train.

    Nothing of it is run. Networks are built where they are few; of many, those that were never inspected are counted.
    """
    from stitchpipe.cli.plan_tables import describe
    from stitchpipe.run import Run

    declared = _part(sweep, only, limit)
    if inspect_first:
        _run(declared, out, steps=("inspect",))
    say(describe(Run.open(declared, _place(declared.name, out))))


def _part(sweep: str, only: Sequence[str], limit: int | None) -> Sweep:
    """Return a sweep, or the part of it that was asked for."""
    declared = load(sweep)
    return restricted(declared, only=only, limit=limit) if only or limit is not None else declared


def _run(
    declared: Sweep,
    out: str | None,
    *,
    steps: Sequence[str] = ("inspect", "train", "dump", "compare", "stitch", "report"),
    scheduler: str | None = None,
    part: str = "1/1",
    retry_failed: bool = False,
) -> None:
    from stitchpipe.cli.tables import summary, times
    from stitchpipe.cli.terminal import Progress
    from stitchpipe.run import RunPlace
    from stitchpipe.steps import UnitsFailedError

    place = RunPlace.at(_place(declared.name, out))
    failure, records = None, None
    with Progress() as progress:
        try:
            records = _runner()(
                declared,
                place.url,
                steps=steps,
                scheduler=scheduler,
                progress=progress,
                part=part,
                retry_failed=retry_failed,
            )
        except UnitsFailedError as error:  # what went well is shown all the same
            failure = error
    # Of a command that had nothing to do there are no times.
    say(*([summary(place)] if "report" in steps else []), *([] if records == [] else [times(place)]))
    if failure is not None:
        raise failure


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
