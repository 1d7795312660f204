"""A sweep opened in its place, up to where its activations come from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from stitchpipe.run.data import RunData
from stitchpipe.run.ingested import Ingested
from stitchpipe.run.keys import Products
from stitchpipe.run.layers import Layers
from stitchpipe.run.networks import Networks, device_of, fix_threads
from stitchpipe.run.place import SUMMARIES
from stitchpipe.run.stitches import planned_stitches
from storage import ReadOnlyError, Store, Summaries, WriteError, open_store, open_summaries

if TYPE_CHECKING:
    import torch

    from stitchpipe.config import Sweep
    from stitchpipe.results import Catalogue
    from stitchpipe.run.place import RunPlace
    from stitchpipe.run.planned_stitch import PlannedStitch, PlannedStitches


class OpenedSweep:
    """A sweep and its place, and what follows from them alone: images, networks, layers, planned stitches, the store.

    `stitchpipe.run.Run` adds where activations come from; what serves it is handed this.
    """

    def __init__(self, sweep: Sweep, place: RunPlace, data: RunData | None = None) -> None:
        self.sweep, self.place = sweep, place
        self.data = RunData(sweep) if data is None else data
        self.networks = Networks(sweep, place, self.data)
        self.ingested = Ingested(sweep, self._opened_store, self.store_url)
        self.layers = Layers(sweep, place, self.data, self.networks, self.ingested)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.sweep.name!r} in {self.place.url!r})"

    @property
    def stitches(self) -> tuple[PlannedStitch, ...]:
        """The declared stitches, one by one."""
        return self.planned_stitches.made

    @cached_property
    def planned_stitches(self) -> PlannedStitches:
        """The declared stitches, and the pairs of layers that are left out of them."""
        spelt = tuple(map(self.layers.without_words, self.sweep.stitch))
        headless = self.layers.headless if spelt else frozenset[str]()
        return planned_stitches(self.sweep, spelt, self.layers.table, headless)

    @property
    def results(self) -> Catalogue:
        """The numbers of the run."""
        return self.place.results

    @property
    def store_url(self) -> str:
        """Where the sweep puts its store: where it says, or where the run has it."""
        return self.sweep.store.url or self.place.store_url

    @cached_property
    def store(self) -> Store:
        """The run's store, opened for reading as the sweep says; `storage.NotFoundError` where there is none yet."""
        return self._opened_store()

    def _opened_store(self) -> Store:
        return open_store(self.store_url, check_reads=self.sweep.store.check_reads)

    def writable_store(self) -> Store:
        """Open the run's store for writing, made where there is none; the run remembers where it lies.

        Raises
        ------
        stitchpipe.run.PlaceError
            The run has another store.
        storage.WriteError
            The place cannot be written.
        """
        self.place.settle_store(self.store_url)
        return open_store(self.store_url, mode="a")

    def writable_summaries(self) -> Summaries:
        """Return where summaries are kept: in the store, or beside it where the store cannot be written."""
        try:
            return open_store(self.store_url, mode="a").summaries
        except (ReadOnlyError, WriteError):
            return open_summaries(f"{self.place.url}/{SUMMARIES}")

    @property
    def device(self) -> torch.device:
        """Where forward passes and training run."""
        return device_of(self.sweep)

    def fix_threads(self) -> None:
        """Give torch the declared number of threads."""
        fix_threads(self.sweep)

    @property
    def products(self) -> Products:
        """How blocks of rows are multiplied."""
        return Products(self.sweep.run.products, self.sweep.run.backend)
