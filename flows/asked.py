"""What is asked of a run, and in which order its steps are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flows.unit import WHOLE
from stitchpipe import steps as pipeline
from stitchpipe.errors import ExplainedError
from stitchpipe.run.declarations import keep_sweep, opened_sweep
from stitchpipe.run.place import RunPlace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stitchpipe.config import Sweep

COURSE: Final = ("inspect", "begin", "activations", "compare", "fit maps", "stitch", "report")
"""What a run may take, in its order; see the methods of `flows.course.Course`."""


class FlowError(ExplainedError, ValueError):
    """A sweep cannot be orchestrated the way that was asked for."""


@dataclass(frozen=True)
class Asked:
    """What is asked of a run.

    Attributes
    ----------
    sweep, out
        As units have them: the sweep lies in the run's place.
    steps
        Which steps, in their order.
    scheduler
        Address of a Dask scheduler; None for a local cluster.
    part
        ``K/N``: dump only the K-th of N parts.
    retry_failed
        Whether units that failed by themselves are tried again.
    share
        ``(k, n)``: what is begun first, where n runs share the units; see `flows.shares`.
    """

    sweep: str
    out: str
    steps: tuple[str, ...]
    scheduler: str | None = None
    part: str = WHOLE
    retry_failed: bool = False
    share: tuple[int, int] = (0, 1)

    @property
    def course(self) -> list[str]:
        """Return what the run takes, in its order."""
        wanted = {
            "inspect": "inspect" in self.steps,
            "begin": True,
            "activations": bool({"train", "dump"} & set(self.steps)),
            "compare": "compare" in self.steps,
            "fit maps": "stitch" in self.steps,
            "stitch": "stitch" in self.steps,
            "report": "report" in self.steps,
        }
        return [name for name in COURSE if wanted[name]]


def asked_of(
    sweep: Sweep | str,
    out: str,
    steps: Sequence[str] | None,
    *,
    scheduler: str | None = None,
    part: str = "1/1",
    retry_failed: bool = False,
    share: str = WHOLE,
) -> Asked:
    """Return what is asked of a run, with the sweep kept in its place.

    Raises
    ------
    FlowError
        There is no such step.
    stitchpipe.config.ConfigError
        The sweep cannot be used, or `part` or `share` is none.
    """
    place = RunPlace.at(out)
    pipeline.parse_part(part)
    own_share = pipeline.parse_part(share)
    kept = keep_sweep(opened_sweep(sweep, place), place)
    return Asked(kept, place.url, tuple(chosen(steps)), scheduler, part, retry_failed, own_share)


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
