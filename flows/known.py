"""What a course must know of a run: a module of functions of names, so that tests can have another in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.unit import Ended, Record, Unit
    from stitchpipe.steps import Units


class Known(Protocol):
    """Such as `flows.work`, which also performs the units (`stitchpipe.steps.claimed.Work`)."""

    def done(self, units: Sequence[Unit]) -> dict[Unit, Record]:
        """Return the records of those units that are known to be done already."""

    def costs(self, sweep: str, out: str, without: tuple[str, ...] = ()) -> Mapping[tuple[str, ...], float]:
        """Return what dumps, by model and split, and stitches, by target, cost about; of each kind in its own unit."""

    def key(self, unit: Unit) -> str:
        """Return a digest of what a unit is asked to do."""

    def networks(self, sweep: str, out: str, without: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the names of the networks."""

    def units(self, sweep: str, out: str, without: tuple[str, ...] = ()) -> Units:
        """Return the units of the steps behind the inspections."""

    def check_declaration(self, sweep: str, out: str, wanted: Sequence[str]) -> None:
        """Refuse a wrong sweep before anything is known of its networks."""

    def check(self, sweep: str, out: str, without: tuple[str, ...], wanted: Sequence[str]) -> None:
        """Refuse a wrong sweep when the networks are known."""

    def is_mistake(self, ended: Ended) -> bool:
        """Return whether an inspection failed because the sweep is wrong."""
