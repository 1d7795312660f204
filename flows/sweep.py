"""The sweep as Prefect flows: which unit of work follows which.

`sweep` is the whole pipeline; `stitch` is the part that wants a GPU, as a flow of its own, so that a
deployment can send it to another work pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from prefect import flow
from prefect.deployments import run_deployment

from flows import tasks
from flows.artifact import publish
from stitchpipe import sweep as pipeline
from stitchpipe.errors import ExplainedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.client.schemas import FlowRun

    from flows.tasks import Record


class FlowError(ExplainedError, ValueError):
    """A sweep cannot be orchestrated the way that was asked for."""


@flow(name="stitch", persist_result=False)
def stitch(sweep: str, out: str) -> list[dict[str, object]]:
    """Make and score the stitches into every target layer of a sweep; its maps must have been fitted.

    Parameters
    ----------
    sweep
        Path of a sweep file, or the name of a sweep that ships with the package.
    out
        Directory of the store and the results; the workers of every pool must see it.
    """
    return _stitches(sweep, out)


@flow(name="sweep", persist_result=False)
def sweep(
    sweep: str,
    out: str,
    scheduler: str | None = None,
    steps: list[str] | None = None,
    stitch_deployment: str | None = None,
    part: str = "1/1",
) -> list[dict[str, object]]:
    """Train, dump, compare, stitch and report, each unit skipped where the store already holds it.

    Parameters
    ----------
    sweep, out
        As in `stitch`.
    scheduler
        Address of a Dask scheduler (``tcp://…``); default: a local cluster for as long as a step needs it.
    steps
        Which of ``train, dump, compare, stitch, report`` to run; default: all. The order is always that one.
    stitch_deployment
        Name of the deployment that stitches (``stitch/gpu``), for a GPU in another work pool; default: here.

    part
        ``K/N``: dump only the K-th of N parts of every model and split; N runs on N machines share a dump.

    Returns
    -------
    list of dict
        One small record per unit of work, in order.
    """
    # prefect.yaml renders an unset environment variable as an empty string.
    plan = _Plan(sweep, out, scheduler or None, stitch_deployment or None, part)
    return [record for step in chosen(steps) for record in plan.run(step)]


def chosen(steps: Sequence[str] | None) -> list[str]:
    """Return the steps to run, in the pipeline's order; raise `FlowError` for a name that is not a step."""
    if steps is None:
        return list(pipeline.STEPS)
    if unknown := [step for step in steps if step not in pipeline.STEPS]:
        raise FlowError(
            where="steps",
            expected=f"some of {', '.join(pipeline.STEPS)}",
            found=", ".join(map(repr, unknown)),
            remedy="Leave the parameter out to run them all.",
        )
    return [step for step in pipeline.STEPS if step in steps]


@dataclass(frozen=True)
class _Plan:
    """The steps of one sweep as calls of tasks; each loads the sweep anew, so only strings travel."""

    sweep: str
    out: str
    scheduler: str | None
    stitch_deployment: str | None
    part: str

    def run(self, step: str) -> list[Record]:
        units = pipeline.units(pipeline.load(self.sweep), pipeline.Folder(Path(self.out)))
        place = self.sweep, self.out
        match step:
            case "train":
                return [tasks.train(*place, model) for model in units.models]
            case "dump":
                return [tasks.dump(*place, model, split, self.part) for model, split in units.dumps]
            case "compare":
                return [tasks.compare(*place, self.scheduler)] if units.views else []
            case "stitch":
                return [tasks.fit_maps(*place, self.scheduler), *self._stitch()]
            case _:
                record = tasks.report(*place)
                publish(record, sweep=self.sweep)
                return [record]

    def _stitch(self) -> list[Record]:
        if self.stitch_deployment is None:
            return _stitches(self.sweep, self.out)
        parameters = {"sweep": self.sweep, "out": self.out}
        run = cast(
            "FlowRun", run_deployment(self.stitch_deployment, parameters=parameters, poll_interval=2.0)
        )
        if run.state is None or not run.state.is_completed():
            raise FlowError(
                where=f"flow run {run.name!r} of deployment {self.stitch_deployment!r}",
                expected="that it completes",
                found=f"{run.state.name}: {run.state.message}" if run.state else "no state",
                remedy="Read that run's logs; running the sweep again continues where it stopped.",
            )
        return [{"step": "stitch", "deployment": self.stitch_deployment, "flow_run": str(run.id)}]


def _stitches(sweep: str, out: str) -> list[Record]:
    """Stitch into every target, one after the other: each uses the whole device, or all cores."""
    targets = pipeline.units(pipeline.load(sweep), pipeline.Folder(Path(out))).targets
    return [tasks.stitch(sweep, out, model, layer) for model, layer in targets]
