"""A run opened for questions, without its sweep: each question is one call."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from stitchpipe import asking
from stitchpipe.asking.ends import EVERYTHING
from stitchpipe.asking.errors import WorkspaceError
from stitchpipe.asking.numbers import Numbers
from stitchpipe.run.place import RunPlace
from stitchpipe.run.tables_beside import tables_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr
    from PIL import Image
    from torch import Tensor, nn

    from stitchpipe.algebra.maps import AffineMap
    from stitchpipe.asking.activation_arrays import Contents, Samples
    from stitchpipe.asking.differences import Difference
    from stitchpipe.asking.ends import Ends
    from stitchpipe.asking.images import RunImages
    from stitchpipe.asking.labelled_matrix import Matrix
    from stitchpipe.asking.layer_rows import SampleView
    from stitchpipe.asking.nearest_layers import Side
    from stitchpipe.asking.networks import RunNetworks, StitchedNetwork
    from stitchpipe.asking.samples import Metric, Pooling
    from stitchpipe.asking.selection import StitchChoice, TrainingChoice
    from stitchpipe.asking.significant_pairs import Null
    from stitchpipe.studies import Answer
    from storage import Store


class Workspace:
    """A run opened for questions; read-only.

    Layers are named ``MODEL/LAYER``. Where several may be meant globs and lists are taken, and a model's name stands
    for all its layers. A name that is none is refused in one sentence with the nearest right ones.

    Parameters
    ----------
    place
        Its folder, or ``s3://bucket/prefix``. `WorkspaceError` if it holds no store.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = RunPlace.at(place)
        self.place.demand_current()
        if not self.place.has_store:
            is_there = not self.place.is_folder or Path(self.place.url).is_dir()
            raise WorkspaceError(
                where=self.place.url,
                expected="the folder of a run, with store.zarr/ in it",
                found="no store" if is_there else "no such folder",
                remedy="Give the --out folder of a run, or make one with `stitchpipe quickstart`.",
            )

    def __repr__(self) -> str:
        return f"Workspace({self.place.url!r})"

    def _repr_html_(self) -> str:
        """Show what the run holds, and one matrix of it, in notebooks."""
        return asking.html_of_run(self.place, self.store)

    @cached_property
    def store(self) -> Store:
        """The activation store."""
        return self.place.open_store()

    # What there is

    def models(self) -> list[str]:
        """Return the names of the models with sealed representations, in alphabetical order."""
        return sorted({sealed.address.model for sealed in self.store.representations()})

    def layers(self, model: str) -> list[str]:
        """Return the names of a model's layers, in the network's order; `WorkspaceError` for no such model."""
        names = dict.fromkeys(sealed.address.layer for sealed in self.store.representations(model=model))
        if not names:
            raise WorkspaceError.unknown(self.place.url, "a model of this store", model, self.models())
        return list(names)

    def representations(self) -> pd.DataFrame:
        """Return every stored layer with shape and bytes on the disk; see `stitchpipe.asking.representations`."""
        return asking.representations(self.store)

    # Numbers

    def results(self) -> pd.DataFrame:
        """Return all results in long form, one row per number."""
        return self.place.results.read()

    def query(self, sql: str) -> pd.DataFrame:
        """Answer one SELECT over ``results``, ``stitches``, ``layers``, ``representations``, ``models`` and ``runs``.

        `stitchpipe query RUN` lists their columns and what they mean. `stitchpipe.results.QueryError` where it is none.
        """
        return self.place.results.query(sql, beside=tables_beside(self.place))

    def measures(
        self, *names: str, source: Ends = EVERYTHING, target: Ends = EVERYTHING, **columns: Any
    ) -> Numbers:
        """Return the numbers of some measures, to be narrowed and read later; see `stitchpipe.asking.Numbers`.

        Parameters
        ----------
        names
            Of measures; none for all.
        source, target
            Only pairs of these layers.
        columns
            What the numbers have in their columns: ``view="pooled"``, ``method=None``, ``seed=[0, 1]``.
        """
        return Numbers(self.place, names, source, target).where(**columns)

    def layer_numbers(
        self, *measures: str, layers: Ends = EVERYTHING, view: str | None = None
    ) -> pd.DataFrame:
        """Return the numbers that layers have by themselves; see `stitchpipe.asking.layer_numbers`."""
        return asking.layer_numbers(self.place, *measures, layers=layers, view=view)

    def nearest(
        self,
        end: str,
        *,
        among: Ends = EVERYTHING,
        measure: str = "cka",
        view: str | None = None,
        side: Side = "target",
        top: int = 10,
        **stitch: Unpack[StitchChoice],
    ) -> pd.DataFrame:
        """Return the layers most similar to one by a measure; see `stitchpipe.asking.nearest`."""
        return asking.nearest(
            self.place, end, among=among, measure=measure, view=view, side=side, top=top, **stitch
        )

    def matrix(
        self,
        measure: str,
        source: Ends = EVERYTHING,
        target: Ends = EVERYTHING,
        *,
        view: str | None = None,
        column: str = "value",
        **stitch: Unpack[StitchChoice],
    ) -> Matrix:
        """Return a measure of all pairs of some layers as a labelled matrix; see `stitchpipe.asking.matrix`."""
        return asking.matrix(self.place, measure, source, target, view=view, column=column, **stitch)

    def model_scores(
        self, measure: str = "cka", layers: Ends = EVERYTHING, *, view: SampleView = "pooled"
    ) -> pd.DataFrame:
        """Return how well the layers of a network are found in each other one; see `stitchpipe.asking.model_scores`."""
        return asking.model_scores(self.place, self.store, measure, layers, view=view)

    def significant(
        self,
        measure: str,
        source: Ends = EVERYTHING,
        target: Ends = EVERYTHING,
        *,
        view: str | None = None,
        below: float = 0.05,
        null: Null | None = None,
    ) -> pd.DataFrame:
        """Return the pairs whose family-wise p-value is below a level; see `stitchpipe.asking.significant`."""
        return asking.significant(self.place, measure, source, target, view=view, below=below, null=null)

    def diff(self, other: Workspace | str | Path, *, tolerance: float = 0.0) -> Difference:
        """Return what changed from this run to another; see `stitchpipe.asking.difference`."""
        return asking.difference(self.place, _place_of(other), tolerance=tolerance)

    # Studies

    def study(self, name: str, *others: Workspace | str | Path) -> Answer:
        """Return what the run says to the question of a study; see `stitchpipe.asking.study`.

        ``answer.findings`` hold answers, numbers with intervals and cases; ``answer.lacking`` what the run would need
        for more; ``answer.record()`` is the whole as JSON has it. Some studies hold `others` against this run.
        """
        return asking.study(self.place, name, [_place_of(other) for other in others])

    def studies(self) -> list[Answer]:
        """Return what the run says to the questions of all studies, and what it lacks for each."""
        return asking.studies(self.place)

    # Maps and networks

    def map(
        self, source: str, target: str, *, method: str = "dm", **training: Unpack[TrainingChoice]
    ) -> AffineMap:
        """Return the fitted map from one layer to another, found by its ends; see `stitchpipe.asking.fitted_map`."""
        return asking.fitted_map(self.place, self.store, source, target, method, **training)

    def stitched(
        self, source: str, target: str, *, method: str = "dm", **training: Unpack[TrainingChoice]
    ) -> StitchedNetwork:
        """Return two networks stitched together, as a module on images; see `RunNetworks.stitched`.

        The source network is run up to its layer, the fitted map takes what it gives to the target's layer, and the
        rest of the target answers. On the run's test images its accuracy is the run's ``stitch_accuracy``.
        """
        return self._networks.stitched(source, target, method=method, **training)

    def network(self, model: str) -> nn.Module:
        """Return a network with the weights that its stored activations came from; see `RunNetworks.network`."""
        return self._networks.network(model)

    def tail(self, end: str) -> nn.Module:
        """Return what lies behind a layer of a network; see `RunNetworks.tail`."""
        return self._networks.tail(end)

    @cached_property
    def _networks(self) -> RunNetworks:
        return asking.RunNetworks(self.place, self.store)

    # Activations

    def activations(self, end: str, **which: Unpack[Samples]) -> xr.DataArray:
        """Return a layer's activations as a lazy labelled array; see `stitchpipe.asking.activations`.

        ``samples``, ``labels`` and ``mask`` say of which samples, ``order`` whether as they are stored (the default) or
        as the data set has them, ``split`` of which split.
        """
        return asking.activations(self.place, self.store, end, **which)

    def top_samples(
        self,
        end: str,
        channel: int,
        *,
        by: Pooling = "mean",
        top: int = 10,
        smallest: bool = False,
        **which: Unpack[Contents],
    ) -> pd.DataFrame:
        """Return the samples that excite a channel most; see `stitchpipe.asking.top_samples`."""
        layer = asking.layer_of(self.place, self.store, end, **which)
        return asking.top_samples(layer, channel, by=by, top=top, smallest=smallest)

    def nearest_samples(
        self,
        end: str,
        sample_id: str,
        *,
        metric: Metric = "cosine",
        view: SampleView = "pooled",
        top: int = 10,
        **which: Unpack[Contents],
    ) -> pd.DataFrame:
        """Return the samples that a layer finds nearest to one; see `stitchpipe.asking.nearest_samples`."""
        layer = asking.layer_of(self.place, self.store, end, **which)
        return asking.nearest_samples(layer, sample_id, metric=metric, view=view, top=top)

    def class_means(
        self, end: str, *, view: SampleView = "pooled", **which: Unpack[Contents]
    ) -> xr.DataArray:
        """Return the mean activations of every class; see `stitchpipe.asking.class_means`."""
        return asking.class_means(asking.layer_of(self.place, self.store, end, **which), view=view)

    def projection(
        self, end: str, *, components: int = 2, view: SampleView = "pooled", **which: Unpack[Contents]
    ) -> xr.DataArray:
        """Return the samples in the directions in which they vary most; see `stitchpipe.asking.projection`."""
        layer = asking.layer_of(self.place, self.store, end, **which)
        return asking.projection(layer, components=components, view=view)

    # Images, where the data are at hand

    def image(self, sample_id: str, *, split: str | None = None) -> Image.Image:
        """Return one image to look at; see `RunImages.image`."""
        return self._images.image(sample_id, split)

    def images(self, samples: Sequence[str] | None = None, *, split: str = "test") -> Tensor:
        """Return images as the run's networks saw them, ``(n, C, H, W)``; see `RunImages.batch`."""
        return self._images.batch(samples, split)

    @cached_property
    def _images(self) -> RunImages:
        return asking.RunImages(self.place, self.store)


def _place_of(run: Workspace | str | Path) -> RunPlace:
    return run.place if isinstance(run, Workspace) else RunPlace.at(run)


def open_workspace(place: str | Path) -> Workspace:
    """Open a run for questions; `WorkspaceError` if there is none."""
    return Workspace(place)
