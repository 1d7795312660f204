"""A unit of work by name: what flows plan, and worker processes are asked to do; and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from stitchpipe.run.ledger import Reason

#: What a unit of work returns: a small JSON object.
Record: TypeAlias = dict[str, Any]

State: TypeAlias = Literal["done", "kept", "failed", "left out"]
"""Carried out now; done before; failed with a reason; not tried, because what it needs failed."""

WHOLE = "1/1"
"""The part of a dump that is all of it."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of work of a run. It holds names and nothing else, so that it travels to another process.

    Attributes
    ----------
    step
        What is done: ``inspect``, ``train``, ``dump``, ``compare``, ``fit maps``, ``stitch`` or ``report``.
    sweep, out
        The run: its sweep as `stitchpipe.run.declarations` reads it, and its folder or URL.
    subject
        What it is done to: names of a model, a split, a layer. Empty for the steps that are one unit.
    option
        How it is done, where that may differ: the part of a dump, the address of a Dask scheduler.
    without
        Models of the sweep that are left out, because they cannot be had.
    """

    step: str
    sweep: str
    out: str
    subject: tuple[str, ...] = ()
    option: str | None = None
    without: tuple[str, ...] = ()

    @property
    def part(self) -> str:
        """Which part of a dump is meant, as ``K/N``."""
        return self.option or WHOLE if self.step == "dump" else WHOLE

    @property
    def name(self) -> str:
        """What people call the unit, and the run's records too: ``dump A test``."""
        part = "" if self.part == WHOLE else f" part {self.part}"
        return " ".join((self.step, *self.subject)) + part


@dataclass(frozen=True, slots=True)
class Ended:
    """How a unit of work ended in one run of a flow.

    Attributes
    ----------
    begun_s, ended_s
        Seconds since the epoch.
    record
        What it gave; empty of a unit that failed, or was left out.
    reason
        Why it failed.
    """

    unit: Unit
    state: State
    begun_s: float
    ended_s: float
    record: Record = field(default_factory=dict)
    reason: Reason | None = None

    @property
    def is_there(self) -> bool:
        """Whether what the unit makes is there."""
        return self.state in {"done", "kept"}

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_s - self.begun_s
