"""A sweep opened in its place: what every step works on, each part had once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stitchpipe.config import ConfigError, Sweep, load
from stitchpipe.run.activations import Activations, LiveActivations, StoredActivations
from stitchpipe.run.extent import Extent
from stitchpipe.run.opened import OpenedSweep
from stitchpipe.run.place import RunPlace

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from stitchpipe.run.data import RunData


class Run(OpenedSweep):
    """A sweep opened in its place.

    Nothing is loaded, built or written before it is asked for, and what was had once is kept for as long as the run is
    open: images, layers, planned stitches, the store. Steps are functions of a run and one unit of work
    (`stitchpipe.steps`); a worker process opens the run once and does any number of units.

    Attributes
    ----------
    sweep
        The declaration.
    place
        Where the run lies.
    data, networks, ingested, layers, extent
        The sweep's images, its networks, its ingested models, all their layers, and how much there is of them.
    activations
        Where the values of layers come from: stored or live.
    """

    def __init__(self, sweep: Sweep, place: RunPlace, data: RunData | None = None) -> None:
        super().__init__(sweep, place, data)
        self.extent = Extent(self)
        kind = StoredActivations if sweep.dump.keep else LiveActivations
        self.activations: Activations = kind(self, self.extent)

    def without(self, models: Collection[str]) -> Run:
        """Return the run of the sweep without some of its models; what was loaded of the images serves both."""
        return Run(self.sweep.without(models), self.place, self.data)

    def stored_activations(self) -> StoredActivations:
        """Return the activations as they lie in the store.

        Raises
        ------
        ConfigError
            The sweep keeps none.
        """
        if isinstance(self.activations, StoredActivations):
            return self.activations
        raise ConfigError(
            where=f"sweep '{self.sweep.name}'",
            expected="stored activations, to be read again and again",
            found="dump.keep = false, which keeps none",
            remedy="Set dump.keep = true and dump.",
        )

    @classmethod
    def open(cls, sweep: Sweep | Path | str, place: RunPlace | Path | str) -> Run:
        """Open a sweep, or a sweep's file, in a folder or bucket.

        Raises
        ------
        stitchpipe.config.ConfigError
            The file cannot be used.
        stitchpipe.run.PlaceError
            The place is a file, or holds a run of an earlier version.
        """
        declared = sweep if isinstance(sweep, Sweep) else load(sweep)
        opened = place if isinstance(place, RunPlace) else RunPlace.at(place)
        opened.demand_current()
        return cls(declared, opened)
