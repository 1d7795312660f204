"""Comparing without a store: networks run over the images, and what they give goes into sums at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from stitchpipe import capture
from stitchpipe.capture.precision import precision
from stitchpipe.run.activations import LiveActivations
from stitchpipe.run.declared import architecture_of
from stitchpipe.run.names import SPLITS
from stitchpipe.steps.dumping import add_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

    from stitchpipe.capture import NetworkCapture
    from stitchpipe.engine import LiveSplit
    from stitchpipe.run import Run
    from stitchpipe.steps.progress import Report
    from storage import Split


@dataclass(frozen=True, eq=False)
class LiveNetworks:
    """Networks in memory, by model, and the splits of their images."""

    run: Run
    networks: Mapping[str, nn.Module]
    cut: Mapping[str, Split]

    @classmethod
    def open(cls, run: Run) -> LiveNetworks | None:
        """Load the networks of a run that keeps no activations; None where it keeps them, and none need be run.

        Splits are added to the store, and what makes the activations is put on record: the store holds sample ids,
        labels and row groups then, and no activations.

        Raises
        ------
        ConfigError
            A model has no weights yet, or an index reads activations.
        storage.StoreError
            The store holds other samples under these names, or cannot be written.
        """
        activations = run.activations
        if not isinstance(activations, LiveActivations):
            return None
        activations.demand_no_reading()
        run.fix_threads()
        images, store, settings = run.data.splits, run.writable_store(), run.extent.settings
        cut = {name: add_split(run, store, images[name]) for name in SPLITS}
        networks = {model.name: run.networks.loaded(model.name) for model in run.sweep.networks}
        # The provenance records the precision that is set, so it is taken while it is set.
        with precision(settings.precision, run.device):
            made_with = capture.provenance(run.device, settings.precision.autocast)
        for declared in run.sweep.networks:
            for name, split in cut.items():
                identity = capture.identity(
                    networks[declared.name], architecture_of(declared), images[name], settings=settings
                )
                activations.note(declared.name, split, identity=identity, provenance=made_with)
        return cls(run, networks, cut)

    def sources(self, layers: Iterable[tuple[str, str]], split: str) -> dict[str, NetworkCapture]:
        """Return sources of some layers, given as (model, layer), over a split; networks without any are left out."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for model, layer in sorted(layers):
            wanted[model].append(layer)
        return {
            model: capture.NetworkCapture.open(
                self.networks[model],
                self.run.data.splits[split],
                self.cut[split],
                layers=names,
                settings=self.run.extent.settings,
                device=self.run.device,
            )
            for model, names in wanted.items()
        }


def run_networks(networks: LiveNetworks, splits: Sequence[LiveSplit], report: Report) -> None:
    """Run the networks over the leaves that are missing of each split; `report` counts leaves.

    All networks run over a batch of images before the next one is loaded. Each is first checked as a dump would be.

    Raises
    ------
    stitchpipe.capture.CaptureError
        A network is not deterministic in eval mode, or the images are others than the store's split holds.
    storage.NonFiniteError, storage.RangeError
        A value that a dump would refuse.
    MomentsError
        Sums overflowed.

    Notes
    -----
    Holds the networks, one batch of all layers twice, and the sums of one leaf of a pass.
    """
    total, done = sum(len(of_split.todo) for of_split in splits), 0
    for of_split in splits:
        if of_split.todo:
            sources = networks.sources(of_split.names(), of_split.split.name)
            # Each network is tried before the first leaf, so that a network with dropout is refused before
            # anything is summed.
            for source in sources.values():
                source.probe()
            for leaf in of_split.todo:
                report(done, total)
                of_split.form(leaf, partial(capture.stored_blocks, sources))
                done += 1
        if of_split.images is not None:
            of_split.images.finish()
    if total:
        report(done, total)
