"""A sweep of objects, run in the process that has them, from the first inspection to the page."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from stitchpipe.asking import Workspace
from stitchpipe.declaring.sweeps import sweep_of
from stitchpipe.engine.cluster import Cluster
from stitchpipe.run import Run, RunPlace
from stitchpipe.run.claims import Worker
from stitchpipe.run.declarations import keep_sweep
from stitchpipe.run.ledger import Ledger, Outcome, Reason
from stitchpipe.steps.agendas import begin_agenda, keep_agenda
from stitchpipe.steps.comparing.compare import compare, fit_maps
from stitchpipe.steps.dumping import dump
from stitchpipe.steps.inspecting import inspect
from stitchpipe.steps.reporting import report
from stitchpipe.steps.stitching.stitch import stitch
from stitchpipe.steps.training import train
from stitchpipe.steps.unit_keys import unit_key
from stitchpipe.steps.work_units import STEPS, check, check_declaration, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


def run(
    models: Mapping[str, Any],
    data: Any,
    *,
    out: str | Path | None = None,
    progress: bool = True,
    **declared: Any,
) -> Workspace:
    """Run a sweep of networks and images that this process has, and open it for questions.

    Everything is done here, one unit of work after the other; what is there already is kept. A module is known by the
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
        ``name`` of the sweep; ``test_fraction`` (.5) of data that are cut; ``layers``, globs or words (the blocks);
        ``compare``, indices by view; and any other table of a sweep: ``stitch=[{…}]``, ``certainty={…}``, ``dump``,
        ``ood``.

    Raises
    ------
    stitchpipe.config.ConfigError, stitchpipe.data.DataError, stitchpipe.models.ArchitectureError
        What was handed over makes no sweep.
    ExplainedError
        A step is refused: as `stitchpipe.steps` says of each.

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
    worker = Worker.here().name
    with _said(progress) as say:
        for unit in _work(opened):
            say(unit.name)
            _carry_out(opened, unit, worker)
    return Workspace(place.url)


@dataclass(frozen=True)
class _Unit:
    """A unit of work and what carries it out."""

    act: Callable[[], object]
    step: str
    subject: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people and records call it: ``dump A test``."""
        return " ".join((self.step, *self.subject))


def _carry_out(opened: Run, unit: _Unit, worker: str) -> None:
    """Carry out a unit, and put on record how it ended, so that `status` knows and the page can say."""
    key, begun_s = unit_key(opened, unit.step, unit.subject), time.time()
    failure: Exception | None = None
    try:
        unit.act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is put on record, and raised
        failure = error
    Ledger(opened.place.files).note(
        Outcome(
            unit=unit.name,
            state="done" if failure is None else "failed",
            key=key,
            begun_s=begun_s,
            seconds=time.time() - begun_s,
            worker=worker,
            reason=None if failure is None else Reason.of(failure, passing=True),
            subject=unit.subject,
        )
    )
    if failure is not None:
        raise failure


@contextmanager
def _said(progress: bool) -> Iterator[Callable[[str], None]]:
    """Give what says what is being done: on one line of the terminal or the notebook, or nowhere."""
    if not progress:
        yield lambda _what: None
        return
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), transient=True) as shown:
        task = shown.add_task("")
        yield lambda what: shown.update(task, description=what)


def _work(opened: Run) -> Iterator[_Unit]:
    """Yield the units in order; what a step needs of those before it is looked up when it is reached."""
    for declared in opened.sweep.networks:
        yield _Unit(partial(inspect, opened, declared.name), "inspect", (declared.name,))
    there = units(opened)
    check(opened, STEPS)
    keep_agenda(opened)
    for model in there.models:
        yield _Unit(partial(train, opened, model), "train", (model,))
    for model, split in there.dumps:
        yield _Unit(partial(dump, opened, model, split), "dump", (model, split))
    memory = opened.sweep.run.memory_limit_bytes
    with Cluster(workers=1, memory_limit_bytes=memory, in_this_process=True) as cluster:
        if opened.sweep.compare:
            yield _Unit(partial(compare, opened, cluster=cluster), "compare")
        yield _Unit(partial(fit_maps, opened, cluster=cluster), "fit maps")
    for model, layer in there.targets:
        yield _Unit(partial(stitch, opened, model, layer), "stitch", (model, layer))
    yield _Unit(partial(report, opened), "report")
