"""Networks in memory: built as the sweep declares them, and held against the weights that the run has on record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stitchpipe.config import ConfigError, TrainedModel
from stitchpipe.models import (
    checkpoint,
    declared_network,
    demand_weights,
    load_weights,
    load_weights_bytes,
    told_origin,
)
from stitchpipe.run import keys
from stitchpipe.run.declared import network_fields
from stitchpipe.run.file_names import model_record, weights_name
from stitchpipe.run.names import SPLITS

if TYPE_CHECKING:
    from torch import nn

    from stitchpipe.config import NetworkModel, Sweep
    from stitchpipe.run.data import RunData
    from stitchpipe.run.place import RunPlace


class Networks:
    """The networks of a sweep.

    None is kept: a unit of work that needs one has it once, and frees it when it ends.
    """

    def __init__(self, sweep: Sweep, place: RunPlace, data: RunData) -> None:
        self._sweep, self._place, self._data = sweep, place, data

    def built(self, declared: NetworkModel) -> nn.Module:
        """Return an architecture with as many classes as the data, unless it says.

        Weights are random, or published ones; those of a file or of a training are not loaded here.

        Raises
        ------
        ConfigError
            Neither the model's options nor the data tell how many classes there are.
        stitchpipe.models.ArchitectureError, stitchpipe.models.WeightsError
            There is no such architecture, or there are no such published weights.
        """
        return declared_network(declared, lambda: self._classes(declared))

    def loaded(self, model: str, *, expected: str | None = None) -> nn.Module:
        """Return a network with its weights, held against the digest that was recorded when they were made or loaded.

        Parameters
        ----------
        expected
            Digest of the weights that stored activations were computed with, where they are what the network must fit.

        Raises
        ------
        ConfigError
            They have not been trained yet.
        stitchpipe.models.OtherWeightsError
            They are others than those on record.
        """
        declared = self._sweep.network(model)
        network = self.unchecked(declared)
        self._demand(network, declared, expected)
        return network

    def unchecked(self, declared: NetworkModel) -> nn.Module:
        """Return a network with the weights that are there now, whatever is on record; errors as `loaded`."""
        network = self.built(declared)
        file = checkpoint(declared)
        if file is not None:
            load_weights(network, file)
        if isinstance(declared, TrainedModel):
            self._load_trained(network, declared)
        return network

    def declaration(self, declared: NetworkModel) -> str:
        """Return the key of what determines a model's weights, as far as the sweep file says it."""
        return keys.training_key(
            network_fields(declared), images=[self._data.splits[name].digest for name in SPLITS]
        )

    def _load_trained(self, network: nn.Module, declared: NetworkModel) -> None:
        name = weights_name(declared.name, self.declaration(declared))
        file = self._place.files.find(name)
        if file is None:
            raise ConfigError(
                where=f"model '{declared.name}'",
                expected="weights that this sweep trained",
                found=f"none in {self._place.url}",
                remedy="Run the whole sweep with `stitchpipe run`, which trains it first.",
            )
        load_weights_bytes(network, self._place.files.read(file), where=name)

    def _demand(self, network: nn.Module, declared: NetworkModel, expected: str | None) -> None:
        """Refuse weights that are not those on record, or not those that stored activations come from."""
        # Stored activations take precedence over the record: the network must fit what is compared with it. The record
        # is asked for only without them, because what it speaks of follows from all images.
        wanted = expected or self._on_record(declared)
        if wanted is None:
            return
        origin = "its training" if isinstance(declared, TrainedModel) else told_origin(declared)
        demand_weights(network, wanted, where=f"model '{declared.name}', weights from {origin}")

    def _on_record(self, declared: NetworkModel) -> str | None:
        """Return the digest of the weights on record; a record of another declaration speaks of other weights."""
        record = self._place.files.record(model_record(declared.name))
        if record is None or record["declaration"] != self.declaration(declared):
            return None
        return str(record["weights_digest"])

    def _classes(self, declared: NetworkModel) -> int:
        counts = [split.n_classes for split in self._data.splits.values()]
        known = [count for count in counts if count is not None]
        if not known:
            raise ConfigError(
                where=f"model '{declared.name}'",
                expected="a number of classes, from the data or from the model",
                found="images without labels or names of classes",
                remedy="Add options = { num_classes = N } to the model, as its weights have it.",
            )
        # A split may lack some of the classes, and the network must have an output for each of them.
        return max(known)


def device_of(sweep: Sweep) -> torch.device:
    """Return where forward passes and training run: the GPU where there is one, unless the sweep says.

    Raises
    ------
    ConfigError
        It asks for a GPU, and there is none.
    """
    if sweep.run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            where="run.device",
            expected="a CUDA device",
            found="none on this machine",
            remedy="Set it to 'auto' or 'cpu'.",
        )
    use_gpu = sweep.run.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if use_gpu else "cpu")


def gpus(sweep: Sweep) -> int:
    """Return how many GPUs the sweep may use on this machine."""
    return torch.cuda.device_count() if device_of(sweep).type == "cuda" else 0


def fix_threads(sweep: Sweep) -> None:
    """Give torch the declared number of threads, so that no sum depends on the machine's number of cores."""
    torch.set_num_threads(sweep.run.torch_threads)
