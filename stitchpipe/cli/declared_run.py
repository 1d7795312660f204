"""What commands that work on a run are given: a RUN, which keeps its sweep, or a sweep and where its run shall lie.

The options that several of these commands have are declared here once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

if TYPE_CHECKING:
    from stitchpipe.config import Sweep
    from stitchpipe.run import RunPlace

RunOrSweep: TypeAlias = Annotated[
    str,
    Parameter(
        name="RUN",
        help="Folder of a run, or its s3:// URL: it keeps its sweep. Or what begins one: a sweep file, or the name of "
        "a shipped sweep (`stitchpipe gallery`; of a folder of that name say ./NAME).",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Which:
    """Which sweep of which run, and how much of it."""

    out: Annotated[
        str | None,
        Parameter(
            name="--out",
            help="Beside a sweep file: folder of the run, or its s3:// URL. Default: runs/ and the sweep's name.",
        ),
    ] = None
    sweep: Annotated[
        str | None,
        Parameter(
            name="--sweep",
            help="Beside a RUN: one of the sweeps that it keeps, by its name, or a file in place of what it keeps. "
            "Default: the sweep that was worked on last.",
        ),
    ] = None
    only: Annotated[
        tuple[str, ...],
        Parameter(
            name="--only",
            negative="",
            show_default=False,
            help="Glob over names of models, any number of times: nothing else takes part. The numbers have the keys "
            "that they have in the whole, but under certainty.family = 'run', where they are kept beside the whole's. "
            "The part has a page of its own, below report/parts.",
        ),
    ] = ()
    limit: Annotated[
        int | None, Parameter(name="--limit", help="At most so many networks, the first ones of these.")
    ] = None

    def opened(self, named: str) -> Declared:
        """Return the sweep that is meant, and where its run lies.

        Parameters
        ----------
        named
            What was given as `RunOrSweep`.

        Raises
        ------
        stitchpipe.config.ConfigError, stitchpipe.run.PlaceError
            There is no such sweep or run, the run keeps none, or options contradict each other.
        """
        from stitchpipe.config import load, restricted
        from stitchpipe.run import RunPlace

        if is_sweep(named):
            _refuse(self.sweep, "--sweep", f"the sweep '{named}'", "a RUN, which may keep several")
            whole = load(named)
            place = RunPlace.at(Path("runs") / whole.name if self.out is None else self.out)
        else:
            _refuse(self.out, "--out", f"the run {named}", "a sweep file, whose run it places")
            place = RunPlace.at(named)
            whole = _kept(place, self.sweep)
        if not self.only and self.limit is None:
            return Declared(whole, place)
        return Declared(restricted(whole, only=self.only, limit=self.limit), place)


Scheduler: TypeAlias = Annotated[
    str | None,
    Parameter(
        name="--scheduler", help="Address of a Dask scheduler, tcp://host:port; default: local processes."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Work:
    """How units of work are carried out."""

    retry_failed: Annotated[
        bool,
        Parameter(
            name="--retry-failed",
            negative="",
            show_default=False,
            help="Try again what failed by itself before; else only what may pass is.",
        ),
    ] = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ScheduledWork(Work):
    """The same of steps that a Dask cluster can take."""

    scheduler: Scheduler = None


@dataclass(frozen=True, slots=True)
class Declared:
    """A sweep and the place of its run."""

    sweep: Sweep
    place: RunPlace

    @property
    def part(self) -> str | None:
        """Return the name of the sweep, if it is a part of another."""
        return self.sweep.name if self.sweep.part_of else None


def is_sweep(named: str) -> bool:
    """Whether a text names a sweep, a file or one that is shipped, and not the place of a run."""
    from stitchpipe.config import shipped

    return named.endswith(".toml") or named in shipped() or Path(named).is_file()


def _kept(place: RunPlace, sweep: str | None) -> Sweep:
    """Return a sweep that a run keeps, or the one of a file."""
    from stitchpipe.config import ConfigError, load
    from stitchpipe.run.declarations import kept_sweep

    if sweep is not None and sweep.endswith(".toml"):
        return load(sweep)
    if place.is_folder and not Path(place.url).is_dir():
        raise ConfigError(
            where=place.url,
            expected="the folder of a run, or a sweep: a file that ends in .toml, or the name of a shipped one",
            found="neither",
            remedy="`stitchpipe gallery` lists the shipped sweeps, `stitchpipe init` writes one.",
        )
    return kept_sweep(place, sweep)


def _refuse(given: str | None, option: str, beside: str, fits: str) -> None:
    if given is not None:
        from stitchpipe.config import ConfigError

        raise ConfigError(
            where=option,
            expected=f"it beside {fits}",
            found=f"it beside {beside}",
            remedy=f"Leave {option} out.",
        )
