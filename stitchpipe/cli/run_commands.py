"""Commands that run a sweep, or a step of it."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from stitchpipe.cli.app import app, say
from stitchpipe.cli.declared_run import RunOrSweep, ScheduledWork, Which, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.cli.declared_run import Declared

_ALL = ("inspect", "train", "dump", "compare", "stitch", "report")


@app.command
def quickstart(
    *,
    out: Annotated[
        str | None,
        Parameter(name="--out", help="Folder of the run, or its s3:// URL; default: runs/quickstart."),
    ] = None,
    work: ScheduledWork = ScheduledWork(),
) -> None:
    """Run the whole pipeline on bundled data: three small networks on handwritten digits.

    Trains the networks, dumps their activations, compares all pairs of layers, stitches, checks how far out
    of distribution the stitched representations are, and writes a report. Takes about two minutes on two cores;
    interrupted, it goes on where it was; finished, it only shows what is there.
    """
    _begin("quickstart", Which(out=out), work)


@app.command
def run(named: RunOrSweep, /, *, which: Which = Which(), work: ScheduledWork = ScheduledWork()) -> None:
    """Run every step of a sweep: train, dump, compare, stitch, report. What is there already is kept.

    A network that fails ends nothing but what depends on it: the others go on, the end says what failed, and the exit
    code is 3. The next run tries again what may pass or be mended. Several runs of one sweep at a time share its work.
    """
    _begin(named, which, work)


@app.command
def inspect(named: RunOrSweep, /, *, which: Which = Which(), work: Work = Work()) -> None:
    """Build every network once and leave on record what it consists of: layers, cuts, shapes.

    `run` and `dump` do this by themselves. Whatever comes after reads the records and builds no network to learn its
    layers again.
    """
    _begin(named, which, work, steps=("inspect",))


@app.command
def train(named: RunOrSweep, /, *, which: Which = Which(), work: Work = Work()) -> None:
    """Train or load the networks, and keep their weights; what is trained already is kept."""
    _begin(named, which, work, steps=("inspect", "train"))


@app.command
def dump(
    named: RunOrSweep,
    /,
    *,
    part: Annotated[
        str, Parameter(name="--part", help="K/N: the K-th of N parts, for N processes that share a dump.")
    ] = "1/1",
    which: Which = Which(),
    work: Work = Work(),
) -> None:
    """Train or load the models and write their activations to the store.

    One forward pass for all layers; what is sealed is skipped, what was interrupted goes on. With --part, several
    GPUs or machines write disjoint shards of the same dump; whoever is last seals it.
    """
    _begin(named, which, work, steps=("inspect", "train", "dump"), part=part)


@app.command
def compare(named: RunOrSweep, /, *, which: Which = Which(), work: ScheduledWork = ScheduledWork()) -> None:
    """Compute the indices of all pairs of layers from a dumped store."""
    _begin(named, which, work, steps=("compare",))


@app.command
def stitch(named: RunOrSweep, /, *, which: Which = Which(), work: ScheduledWork = ScheduledWork()) -> None:
    """Make the declared stitches from a dumped store and judge them: accuracy, and how far out of distribution."""
    _begin(named, which, work, steps=("stitch",))


@app.command
def report(named: RunOrSweep, /, *, which: Which = Which()) -> None:
    """Write the page and its figures from the results that are there."""
    _begin(named, which, Work(), steps=("report",))


@app.command
def plan(
    named: RunOrSweep,
    /,
    *,
    inspect_first: Annotated[
        bool,
        Parameter(
            name="--inspect",
            negative="",
            show_default=False,
            help="Build every network that is not on record yet, to know its layers.",
        ),
    ] = False,
    which: Which = Which(),
) -> None:
    """Print the sweep with its defaults, what is there already, and what the rest would read, form, hold and train.

    Nothing of it is run. Networks are built where they are few; of many, those that were never inspected are counted.
    """
    _sign_of_life(f"plan {named}")
    declared = which.opened(named)
    if inspect_first:
        _run(declared, Work(), steps=("inspect",))
    from stitchpipe.cli.plan_tables import describe
    from stitchpipe.run import Run

    say(describe(Run.open(declared.sweep, declared.place)))


def _begin(named: str, which: Which, work: Work, *, steps: Sequence[str] = _ALL, part: str = "1/1") -> None:
    """Take steps of the sweep that is meant."""
    _sign_of_life(named)
    _run(which.opened(named), work, steps=steps, part=part)


def _sign_of_life(what: str) -> None:
    """Say on a terminal that the command was understood: what it needs takes seconds to import."""
    if sys.stderr.isatty():
        from stitchpipe.cli.console import visible

        sys.stderr.write(f"{visible(what)}: opening\n")
        sys.stderr.flush()


def _run(declared: Declared, work: Work, *, steps: Sequence[str] = _ALL, part: str = "1/1") -> None:
    from stitchpipe.cli.endings import ending, times
    from stitchpipe.cli.terminal import Progress
    from stitchpipe.steps import UnitsFailedError

    failure, records = None, None
    with Progress() as progress:
        try:
            records = _runner()(
                declared.sweep,
                declared.place.url,
                steps=steps,
                scheduler=work.scheduler if isinstance(work, ScheduledWork) else None,
                progress=progress,
                part=part,
                retry_failed=work.retry_failed,
            )
        except UnitsFailedError as error:  # what went well is shown all the same
            failure = error
    # Of a command that had nothing to do there are no times.
    ended = [ending(declared.place, declared.part)] if "report" in steps else []
    say(*ended, *([] if records == [] else [times(declared.place)]))
    if failure is not None:
        raise failure


def _runner() -> Any:
    """Return what runs a sweep: an entry point, so that this package never imports the flows."""
    found = entry_points(group="stitchpipe.runners", name="prefect")
    if not found:
        from stitchpipe.config import ConfigError

        raise ConfigError(
            where="this installation",
            expected="the runner 'prefect' (entry point group stitchpipe.runners)",
            found="none",
            remedy="Install the project with `pip install .` (or `make install`).",
        )
    return next(iter(found)).load()
