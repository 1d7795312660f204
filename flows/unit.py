"""A unit of work by name: what flows plan, tasks hand over, and worker processes are asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

#: What a unit of work returns: a small JSON object.
Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of work of a run. It holds names and nothing else, so that it travels to another process.

    Attributes
    ----------
    step
        What is done: ``inspect``, ``train``, ``dump``, ``compare``, ``fit maps``, ``stitch`` or ``report``.
    sweep, out
        The run: path or name of its sweep file, and its directory.
    subject
        What it is done to: names of a model, a split, a layer. Empty for the steps that are one unit.
    option
        How it is done, where that may differ: the part of a dump, the address of a Dask scheduler.
    """

    step: str
    sweep: str
    out: str
    subject: tuple[str, ...] = ()
    option: str | None = None

    @property
    def name(self) -> str:
        """What people call the unit: ``dump A test``."""
        return " ".join((self.step, *self.subject))
