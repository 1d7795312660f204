"""Commands that look at what is going on: if everything that work needs is there, and how far a run is."""

from __future__ import annotations

import os
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from stitchpipe.cli.app import DAMAGED, RunAddress, app, say
from stitchpipe.cli.declared_run import Scheduler  # noqa: TC001 - read from the annotations
from stitchpipe.cli.rows_out import as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from stitchpipe.run import RunPlace
    from stitchpipe.steps.checkup import Check, Look
    from stitchpipe.steps.standing import Standing


@app.command
def doctor(
    place: Annotated[
        str | None,
        Parameter(name="RUN", help="Folder of a run, or its s3:// URL; default: none is looked at."),
    ] = None,
    /,
    *,
    sweep: Annotated[
        str | None, Parameter(help="A sweep file, or the name of a shipped sweep, to look at too.")
    ] = None,
    scheduler: Scheduler = None,
    format: Annotated[  # noqa: A002 - what the option is called
        Literal["table", "json"], Parameter(help="json: for programs.")
    ] = "table",
) -> None:
    """Look if everything that work needs is there and well, and say what to do where it is not.

    Python and packages, this machine, leftovers of killed processes; the Prefect server of PREFECT_API_URL, with
    pools, workers, deployments, automations and runs that are stuck; a Dask cluster with --scheduler; and of a RUN its
    place, store, claims, failed units, records and what was left behind. A file is created in its place and removed.

    Exit code 1 where there is a problem, 0 otherwise. Nothing waits longer than half a minute.
    """
    from stitchpipe.cli import doctor_tables
    from stitchpipe.steps.checkup import checks_of

    checks = checks_of(_looks(sweep, scheduler))
    if place is not None:
        from stitchpipe.steps.checkup.run_place import checks_of_run

        checks += checks_of_run(place)
    if format == "json":
        sys.stdout.write(as_json(doctor_tables.plain(checks)))
    else:
        say(*doctor_tables.checks(checks))
    sys.stdout.flush()
    if any(check.state == "problem" for check in checks):
        sys.exit(DAMAGED)


@app.command
def status(
    place: RunAddress,
    /,
    *,
    sweep: Annotated[
        str | None, Parameter(help="Name of the sweep whose units are looked at; default: begun last.")
    ] = None,
    format: Annotated[  # noqa: A002 - what the option is called
        Literal["table", "json", "prometheus"],
        Parameter(help="json: for programs; prometheus: metrics in its text format."),
    ] = "table",
    watch: Annotated[
        bool, Parameter(help="Show it again and again, until all is done or Ctrl-C.", negative="")
    ] = False,
    every: Annotated[float, Parameter(help="Seconds between two looks with --watch.")] = 5.0,
    plan: Annotated[
        bool,
        Parameter(
            help="Where nothing of a step is done yet, try a little of it here, as `plan`.", negative=""
        ),
    ] = False,
) -> None:
    """Show how far a run is: what is done, under way, missing or failed, by step, and how long the rest takes.

    Reads the run's records alone, and builds no network: a second or two, also while others work on the run.

    How long it takes follows from the seconds of the units of the same step that are done, and from how many workers
    there are now. With --plan, what takes torch and some seconds, the plan says it of steps of which none is.
    """
    from stitchpipe.cli import status_tables
    from stitchpipe.run.place import RunPlace
    from stitchpipe.steps.standing import standing

    run = RunPlace.at(place)
    planned = _planned(run, standing(run, sweep=sweep).sweep) if plan else {}
    if watch and format == "table":
        _watch(lambda: standing(run, sweep=sweep, planned=planned), every)
        return
    found = standing(run, sweep=sweep, planned=planned)
    if format == "json":
        sys.stdout.write(as_json(status_tables.plain(found)))
    elif format == "prometheus":
        from stitchpipe.steps.prometheus import bytes_of, exposition

        sys.stdout.write(exposition(found, bytes_of(run)))
    else:
        say(*status_tables.tables(found))


def _planned(place: RunPlace, sweep: str) -> dict[str, float]:
    """Return what the plan says of the steps of a sweep that a run keeps; nothing where it keeps none."""
    from stitchpipe.run import Run
    from stitchpipe.run.declarations import kept_sweep
    from stitchpipe.run.place import PlaceError
    from stitchpipe.steps.planned_seconds import planned_seconds

    try:
        declared = kept_sweep(place, sweep)
    except PlaceError:  # of a run without its declaration the records still say something
        return {}
    return planned_seconds(Run.open(declared, place))


def _watch(find: Callable[[], Standing], every_s: float) -> None:
    """Show how far a run is until nothing is left to do; off a terminal each look is printed below the last."""
    from rich.console import Group
    from rich.live import Live

    from stitchpipe.cli.console import SafeConsole
    from stitchpipe.cli.status_tables import tables

    with Live(console=SafeConsole(), auto_refresh=False) as live:
        while True:
            found = find()
            live.update(Group(*tables(found)), refresh=True)
            if not found.count("missing") + found.count("under way"):
                return
            time.sleep(every_s)


def _looks(sweep: str | None, scheduler: str | None) -> list[Look]:
    """Return the looks at all that is asked for, but for a run; what nobody asks for is not imported."""
    from stitchpipe.steps.checkup.installation import looks_at_installation
    from stitchpipe.steps.checkup.machine import looks_at_machine

    looks: list[Look] = [*looks_at_installation(), *looks_at_machine(Path.cwd())]
    if sweep is not None:
        from stitchpipe.steps.checkup.declared import looks_at_sweep

        looks += looks_at_sweep(sweep)
    looks += _looks_at_server()
    if scheduler is not None:
        from stitchpipe.steps.checkup.scheduler import looks_at_scheduler

        looks += looks_at_scheduler(scheduler)
    return looks


def _looks_at_server() -> list[Look]:
    """Return the looks at the Prefect server that is configured, through an entry point: flows are never imported."""
    from stitchpipe.steps.checkup import Look, problem

    if not os.environ.get("PREFECT_API_URL"):
        return []
    found = entry_points(group="stitchpipe.doctors", name="prefect")
    if found:
        looks: list[Look] = list(next(iter(found)).load()())
        return looks

    def missing() -> list[Check]:
        remedy = "Install the project again: `make install`."
        return [
            problem("server", "looks", "no entry point 'prefect' of the group stitchpipe.doctors", remedy)
        ]

    return [Look("server", "looks", missing)]
