"""Networks of a run as modules: whole, behind a layer, and stitched together; their weights held against the run's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from stitchpipe import graph
from stitchpipe.asking.declared import declared_sweep
from stitchpipe.asking.fitted_maps import DIRECT, fitted_map
from stitchpipe.asking.stored_layers import stored_layer, stored_names
from stitchpipe.graph import extractor
from stitchpipe.run.activations import End
from stitchpipe.run.names import TEST, TRAIN, LayerName
from stitchpipe.run.run import Run
from stitchpipe.stitching import StitchingLayer

if TYPE_CHECKING:
    from typing import Unpack

    from stitchpipe.asking.selection import TrainingChoice
    from stitchpipe.run.place import RunPlace
    from storage import Store


class StitchedNetwork(nn.Module):
    """Images → what the target network answers when a layer of another network stands in for one of its own.

    Attributes
    ----------
    source
        The whole source network, frozen; only what it gives at one layer is used, though all of it is run.
    stitch
        The stitching layer, the one part with parameters that may be trained on.
    tail
        What lies behind the target's layer, frozen.

    Notes
    -----
    Gradients reach the stitching layer, and not the images.
    """

    def __init__(self, source: nn.Module, layer: str, stitch: StitchingLayer, tail: nn.Module) -> None:
        super().__init__()
        self.source, self.stitch, self.tail = source, stitch, tail
        self._layer, self._extract = layer, extractor(source, [layer])

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(n, classes)``, or features of a target without a classifier.

        Parameters
        ----------
        images
            ``(n, C, H, W)``, preprocessed as those of the run: what `Workspace.image` gives.
        """
        # The copy is made outside of inference mode, so that the stitching layer can be trained on it.
        activations = self._extract(images)[self._layer].float().clone()
        answer: Tensor = self.tail(self.stitch(activations))
        return answer


class RunNetworks:
    """The networks of a run, by the sweep that it keeps.

    Raises
    ------
    stitchpipe.asking.WorkspaceError
        The run keeps no sweep.
    """

    def __init__(self, place: RunPlace, store: Store) -> None:
        self._place, self._store = place, store
        self._run = Run.open(declared_sweep(place), place)

    def network(self, model: str) -> nn.Module:
        """Return a network of the run in eval mode, on the CPU, with the weights that its activations came from.

        Raises
        ------
        stitchpipe.config.ConfigError
            There is no such network, or only activations of that name.
        stitchpipe.models.OtherWeightsError
            Its weights are others now than those that its stored activations were computed with.
        stitchpipe.data.DataError
            The images are not at hand: how many classes there are, and which weights were trained, follows from them.

        Notes
        -----
        Reads every image once where the weights were trained here, or the classes are those of the data.
        """
        self._run.sweep.network(model)
        sealed = self._store.representations(model=model)
        expected = None
        if sealed:
            layer = LayerName(model, sealed[0].address.layer)
            content = stored_layer(self._place, self._store, layer, sealed[0].address.split)
            weights = content.identity.get("weights")
            expected = None if weights is None else str(weights)
        return self._run.networks.loaded(model, expected=expected).eval().requires_grad_(requires_grad=False)

    def tail(self, end: str) -> nn.Module:
        """Return what lies behind a layer: its activations ``(n, …)`` → the network's answer.

        Of a joint cut, ``MODEL/a+b``, it takes the activations of ``a`` and ``b`` by these names.

        Raises
        ------
        stitchpipe.graph.LayerError
            Other values cross beside the layer; the nearest cuts are named. Errors of `network`, too.
        """
        names = stored_names(self._store)
        model, _, layer = end.rpartition("/")
        members = graph.members_of(layer)
        is_joint = len(members) > 1 and end not in map(str, names.known)
        ends = [names.one(f"{model}/{member}") for member in members] if is_joint else [names.one(end)]
        network = self.network(ends[0].model)
        example = self._run.data.splits[TEST].batch([0])
        return graph.tail(network, graph.joint_name([name.layer for name in ends]), example=example)

    def stitched(
        self, source: str, target: str, *, method: str = DIRECT, **training: Unpack[TrainingChoice]
    ) -> StitchedNetwork:
        """Return two networks stitched together by a fitted map; errors of `network`, `tail` and `fitted_map`."""
        names = stored_names(self._store)
        ends = [self._end(names.one(end)) for end in (source, target)]
        fitted = fitted_map(self._place, self._store, source, target, method, **training)
        shapes, grids = [end.train.shape[1:] for end in ends], (ends[0].grid, ends[1].grid)
        layer = StitchingLayer.from_map(shapes[0], shapes[1], fitted, grids=grids)
        name = ends[0].name
        network = self.network(name.model)
        return StitchedNetwork(network, name.layer, layer, self.tail(str(ends[1].name))).eval()

    def _end(self, name: LayerName) -> End[Any]:
        layer = stored_layer(self._place, self._store, name, TRAIN)
        return End(name, layer, layer)
