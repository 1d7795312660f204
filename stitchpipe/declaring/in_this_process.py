"""A sweep of objects, run in the process that has them, from the first inspection to the page."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Final

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from stitchpipe.asking import Workspace
from stitchpipe.declaring.sweeps import sweep_of
from stitchpipe.engine.cluster import Cluster
from stitchpipe.errors import ExplainedError
from stitchpipe.run import Run, RunPlace
from stitchpipe.run.declarations import keep_sweep
from stitchpipe.run.ledger import Ledger
from stitchpipe.steps.agendas import begin_agenda, keep_agenda
from stitchpipe.steps.claimed import Claimant
from stitchpipe.steps.comparing.compare import compare, fit_maps
from stitchpipe.steps.dumping import dump
from stitchpipe.steps.failures import UnitsFailedError
from stitchpipe.steps.inspecting import inspect
from stitchpipe.steps.reporting import report
from stitchpipe.steps.stitching.stitch import stitch
from stitchpipe.steps.training import train
from stitchpipe.steps.unit_keys import unit_key
from stitchpipe.steps.work_units import STEPS, check, check_declaration, of_the_sweep, refuse, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from stitchpipe.run.ledger import Reason
    from stitchpipe.steps.claimed import Record

WAIT_S: Final = 1.0
"""Between two looks at a unit that another process works on."""
_OF_A_MODEL: Final = ("inspect", "train", "dump")
"""Steps without which there is nothing to do with a model."""


def run(
    models: Mapping[str, Any],
    data: Any,
    *,
    out: str | Path | None = None,
    progress: bool = True,
    **declared: Any,
) -> Ran:
    """Run a sweep of networks and images that this process has, and open it for questions.

    Everything is done here, one unit of work after the other, under claims, so that processes may share a run; what is
    there already is kept. A unit that fails ends nothing but what depends on it: the result says what failed and why
    (`Ran.failed`), a warning names it, and the same call tries that alone. A module is known by the
    digest of its weights, of its classes' sources and of its plain attributes, images by that of their pixels, labels
    and ids: the same objects find their run again, others never pass for them. What was an object cannot be had by
    another process: it reads activations and results, and is told to come back with the object where it needs one.

    Parameters
    ----------
    models
        By name: a torch module; a table as under [[models]]; the name of an architecture with published weights.
    data
        A map-style data set, a loader, batches; ``{"train": …, "test": …}`` of these; a data set of Hugging Face's
        `datasets`; the path of a folder of images, with or without classes; or a table as under [data]. One data set
        alone is cut into both splits. Labels are needed for stitches only.
    out
        A folder or ``s3://bucket/prefix``; default ``runs/NAME``.
    progress
        Say on the terminal, or in the notebook, what is being done.
    declared
        ``name`` of the sweep; ``test_fraction`` (.5) of data that are cut; ``groups``, what each image belongs to (a
        subject, the image that it is a copy of): a name for each, in the order of the data set, or ``{"train": …,
        "test": …}`` of these, of a folder or a table the path of a CSV file; ``layers``, globs or words (the blocks);
        ``compare``, indices by view; and any other table of a sweep: ``stitch=[{…}]``, ``certainty={…}``, ``dump``,
        ``ood``.

    Raises
    ------
    stitchpipe.config.ConfigError, stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        What was handed over makes no sweep.
    stitchpipe.steps.failures.UnitsFailedError
        No model is left, because of what failed.
    ExplainedError
        The layers, stitches or room that were asked for cannot be had.

    Notes
    -----
    Memory: a copy of each module, a batch of images and its activations, and the tile of a comparison.

    Examples
    --------
    >>> run = sp.run(models={"mine": net, "theirs": "resnet18"}, data=loader)  # doctest: +SKIP
    >>> run.matrix("cka", "mine", "theirs").plot()                             # doctest: +SKIP
    """
    sweep = sweep_of(models, data, **declared)
    place = RunPlace.at(out or f"runs/{sweep.name}")
    opened = Run.open(sweep, place)
    check_declaration(opened, STEPS)
    keep_sweep(sweep, place)
    begin_agenda(opened)
    work = _Units()
    with Claimant(work) as claimant, _said(progress) as say:
        course = _Course(opened, work, claimant, say)
        course.take_all()
    failed = {unit: str(reason) for unit, reason in course.failed.items()}
    error = UnitsFailedError(place.url, failed, of=course.tried, left_out=course.lost, is_tried_again=True)
    if not course.run.sweep.models or not place.has_store:
        raise error
    if failed:
        told = f"{len(failed)} of {course.tried} units of work failed: {', '.join(failed)}."
        warnings.warn(f"{told} The rest was done; the same call tries these again.", stacklevel=3)
    return Ran(place.url, failed)


class Ran(Workspace):
    """A run that was carried out a moment ago, opened for questions.

    Attributes
    ----------
    failed
        Why units of work failed, by their names; empty where all went well. What depends on them was left out, the rest
        was done. The same call tries these again, and nothing else.
    """

    def __init__(self, place: str, failed: Mapping[str, str]) -> None:
        super().__init__(place)
        self.failed = dict(failed)

    def __repr__(self) -> str:
        lines = "".join(f"\n- {unit}: {why}" for unit, why in self.failed.items())
        units = "unit" if len(self.failed) == 1 else "units"
        told = f"\n{len(self.failed)} {units} of work failed; the same call tries them again:{lines}"
        return super().__repr__() + (told if lines else "")

    def _repr_html_(self) -> str:
        """Show what failed above what the run holds."""
        rows = "".join(f"<li>{escape(unit)}: {escape(why)}</li>" for unit, why in self.failed.items())
        told = f"<p>{len(self.failed)} failed; the same call tries again:</p><ul>{rows}</ul>" if rows else ""
        return told + super()._repr_html_()


@dataclass(frozen=True)
class _Unit:
    """A unit of work and what carries it out."""

    run: Run
    act: Callable[[], object]
    step: str
    subject: tuple[str, ...] = ()

    @property
    def out(self) -> str:
        """Where the run lies."""
        return self.run.place.url

    @property
    def name(self) -> str:
        """What people and records call it: ``dump A test``."""
        return " ".join((self.step, *self.subject))


class _Units:
    """Units that carry themselves out; each finds out by itself what of it is there.

    Attributes
    ----------
    errors
        What units failed by, as it was raised.
    """

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}

    def perform(self, unit: _Unit, report: object) -> Record:
        del report
        try:
            unit.act()
        except Exception as error:
            self.errors[unit.name] = error
            raise
        return {}

    def kept(self, unit: _Unit) -> Record | None:
        del unit
        return None

    def key(self, unit: _Unit) -> str:
        return unit_key(unit.run, unit.step, unit.subject)


class _Course:
    """All steps of a run in order, each over what is left where a unit of one before failed."""

    def __init__(self, run: Run, work: _Units, claimant: Claimant, say: Callable[[str], None]) -> None:
        self.run, self._declared = run, run.sweep
        self._units, self._claimant, self._say = work, claimant, say
        self._ledger = Ledger(run.place.files)
        self.failed: dict[str, Reason] = {}
        self.tried = 0

    @property
    def lost(self) -> list[str]:
        """The models that failed, which later units do without."""
        return sorted(self.run.sweep.left_out)

    def take_all(self) -> None:
        """Carry out every unit; raises what is wrong with the sweep."""
        self._inspect()
        if not self.run.sweep.models:
            return
        check(self.run, STEPS)
        there = units(self.run)
        keep_agenda(self.run)
        for model in there.models:
            self._take("train", (model,), train)
        for names in there.dumps:
            self._take("dump", names, dump)
        if not self.run.sweep.models:
            return
        memory = self.run.sweep.run.memory_limit_bytes
        with Cluster(workers=1, memory_limit_bytes=memory, in_this_process=True) as cluster:
            if self.run.sweep.compare:
                self._take("compare", (), partial(compare, cluster=cluster))
            self._take("fit maps", (), partial(fit_maps, cluster=cluster))
        for names in units(self.run).targets:
            self._take("stitch", names, stitch)
        self._take("report", (), report)

    def _inspect(self) -> None:
        for declared in self.run.sweep.networks:
            self._take("inspect", (declared.name,), inspect)
        mistakes = [
            unit
            for unit, reason in self.failed.items()
            if of_the_sweep(self._declared, unit.removeprefix("inspect "), reason)
        ]
        for unit in mistakes:  # whoever corrects it must not find an old verdict
            self._ledger.forget(unit)
        errors = [self._units.errors[unit] for unit in mistakes]
        refuse(self.run.place.url, [error for error in errors if isinstance(error, ExplainedError)])

    def _take(self, step: str, subject: tuple[str, ...], act: Callable[..., object]) -> None:
        """Carry out a unit, unless its model is lost; wait while another process works on it."""
        if subject and subject[0] in self.run.sweep.left_out:
            return
        unit = _Unit(self.run, partial(act, self.run, *subject), step, subject)
        self._forget_failure(unit.name)
        self.tried += 1
        while True:
            self._say(unit.name)
            answer, told = self._claimant.carry_out(unit, lambda *_: None, lambda _: None)
            if answer != "held":
                break
            self._say(f"{unit.name}: process {told['pid']} on {told['host']} works on it")
            time.sleep(WAIT_S)
        if answer == "failed":
            self.failed[unit.name] = told
            if step in _OF_A_MODEL:
                self.run = self.run.without({subject[0]})

    def _forget_failure(self, unit: str) -> None:
        """Let a unit that failed before be tried again, whatever it failed by."""
        before = self._ledger.of(unit)
        if before is not None and before.state == "failed":
            self._ledger.forget(unit)


@contextmanager
def _said(progress: bool) -> Iterator[Callable[[str], None]]:
    """Give what says what is being done: on one line of the terminal or the notebook, or nowhere."""
    if not progress:
        yield lambda _what: None
        return
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as shown:
        task = shown.add_task("")
        yield lambda what: shown.update(task, description=what)
