"""Comparing without a store: networks run over the images, and what they give goes into sums at once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stitchpipe import capture
from stitchpipe.algebra.grams import MOST_IMAGES
from stitchpipe.capture.precision import precision
from stitchpipe.config import ConfigError
from stitchpipe.engine import LayerShape, indices_of_images
from stitchpipe.location import record_location
from stitchpipe.registry import index_measure
from stitchpipe.sweep.dumping import add_split, architecture_of, load_network
from stitchpipe.sweep.networks import SPLITS, TEST, device_of, fix_threads, splits
from stitchpipe.sweep.room import ITEM_BYTES, settings, stored_shapes
from stitchpipe.sweep.unkept import note_unkept
from storage import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

    from stitchpipe.capture import NetworkCapture
    from stitchpipe.config import Compare, Sweep
    from stitchpipe.sweep.folder import Folder
    from stitchpipe.sweep.progress import Report
    from stitchpipe.sweep.sinks import Sinks
    from storage import Split


def demand_no_reading(sweep: Sweep) -> None:
    """Refuse indices that read activations, where the sweep keeps none.

    Sums over one pass, pooled images and minibatches of them are formed while the networks run. Grams of flattened
    images need the images side by side, and agreement needs the logits.

    Raises
    ------
    ConfigError
        Names the view and the indices.
    """
    for table in sweep.compare if not sweep.dump.keep else ():
        unfit = _reading(sweep, table)
        if unfit:
            null = table.view == "flatten" and sweep.certainty.permutations
            raise ConfigError(
                where=f"sweep '{sweep.name}', view '{table.view}'",
                expected="indices that are formed while the networks run, because dump.keep = false",
                found=f"{', '.join(unfit)}, which {'need' if len(unfit) > 1 else 'needs'} stored activations",
                remedy="Set dump.keep = true, or leave out"
                + (
                    " these indices, or their null (certainty.permutations = 0)."
                    if null
                    else " these indices."
                ),
            )


def _reading(sweep: Sweep, table: Compare) -> list[str]:
    """Return the indices of a table that cannot be formed from one pass over blocks of samples."""
    logits = {name for name in table.indices if index_measure(name).computed_from == "logits"}
    if table.view != "flatten":
        return sorted(logits)
    item = ITEM_BYTES[sweep.dump.dtype]
    shapes = [
        LayerShape(model, layer, (), shape, item)
        for model, layers in stored_shapes(sweep).items()
        for layer, shape in layers.items()
    ]
    images = min(MOST_IMAGES, len(splits(sweep.data)[TEST]))
    grams = set(indices_of_images(table.view, table.indices, shapes, images))
    null = {name for name in table.indices if sweep.certainty.permutations and index_measure(name).null}
    return sorted(logits | grams | null)


@dataclass(frozen=True, eq=False)
class Networks:
    """Networks in memory, by model, and the splits of their images."""

    sweep: Sweep
    networks: Mapping[str, nn.Module]
    cut: Mapping[str, Split]

    @classmethod
    def open(cls, sweep: Sweep, folder: Folder) -> Networks:
        """Load the networks of a sweep, add its splits to the store, and record what makes their activations.

        The store holds sample ids, labels and row groups then, and no activations.

        Raises
        ------
        ConfigError
            A model has no weights yet, or an index reads activations.
        storage.StoreError
            The store holds other samples under these names, or cannot be written.
        """
        demand_no_reading(sweep)
        fix_threads(sweep)
        images = splits(sweep.data)
        record_location(folder.root, folder.store_of(sweep))
        store = open_store(folder.store_of(sweep), mode="a")
        cut = {name: add_split(sweep, store, images[name]) for name in SPLITS}
        networks = {model.name: load_network(sweep, folder, model) for model in sweep.networks}
        chosen, device = settings(sweep), device_of(sweep)
        with precision(chosen.precision, device):
            made_with = capture.provenance(device, chosen.precision.autocast)
        for declared in sweep.networks:
            for name, split in cut.items():
                identity = capture.identity(
                    networks[declared.name], architecture_of(declared), images[name], settings=chosen
                )
                note_unkept(sweep, folder, declared.name, split, identity=identity, provenance=made_with)
        return cls(sweep, networks, cut)

    def sources(self, layers: Iterable[tuple[str, str]], split: str) -> dict[str, NetworkCapture]:
        """Return sources of some layers, given as (model, layer), over a split; networks without any are left out."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for model, layer in sorted(layers):
            wanted[model].append(layer)
        return {
            model: capture.NetworkCapture.open(
                self.networks[model],
                splits(self.sweep.data)[split],
                self.cut[split],
                layers=names,
                settings=settings(self.sweep),
                device=device_of(self.sweep),
            )
            for model, names in wanted.items()
        }


def run_networks(networks: Networks, sinks: Sequence[Sinks], report: Report) -> None:
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
    total, done = sum(len(one.todo) for one in sinks), 0
    for one in sinks:
        if one.todo:
            sources = networks.sources(one.names(), one.split.name)
            for source in sources.values():
                source.probe()
            for leaf in one.todo:
                report(done, total)
                one.feed(leaf, sources)
                done += 1
        if one.images is not None:
            one.images.finish()
    if total:
        report(done, total)
