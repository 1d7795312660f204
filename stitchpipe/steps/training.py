"""The second step: every network gets its weights: trained on the spot, from a file, published, or random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stitchpipe.config import ConfigError, TrainedModel
from stitchpipe.models import accuracy, told_origin, train_classifier, weights_bytes, weights_digest
from stitchpipe.run.file_names import model_record, weights_name
from stitchpipe.run.inputs import model_stamp
from stitchpipe.run.names import TEST, TRAIN
from stitchpipe.run.training_state import TrainingState
from stitchpipe.steps.doneness import trained
from stitchpipe.steps.naming import about
from stitchpipe.steps.progress import Report, silent

if TYPE_CHECKING:
    from stitchpipe.config import NetworkModel
    from stitchpipe.run import Run


def train(run: Run, model: str, *, report: Report = silent) -> dict[str, Any]:
    """Make sure that `model` has weights; return its record.

    Weights trained before under the same declaration and data are kept: nothing is trained twice. `report` counts
    epochs.

    Raises
    ------
    ConfigError
        The trained network stays below the accuracy that the sweep asks for.
    stitchpipe.models.WeightsError
        A checkpoint is missing, unreadable, unsafe, or of another architecture; published weights cannot be had.
    """
    declared = run.sweep.network(model)
    known = trained(run, model)
    if known is not None:
        report(1, 1)
        return known
    with about(model):
        if not isinstance(declared, TrainedModel):
            return _as_they_are(run, declared)
        return _trained(run, declared, run.networks.declaration(declared), report)


def _as_they_are(run: Run, declared: NetworkModel) -> dict[str, Any]:
    """Load weights that are there, and put on record which they are: later steps hold what they load against it."""
    # Taken first: a file that is replaced while it is loaded has another stamp, and is loaded again.
    stamp = model_stamp(declared)
    network = run.networks.unchecked(declared)
    record = {
        "declaration": run.networks.declaration(declared),
        "stamp": stamp,
        "weights": told_origin(declared),
        "weights_digest": weights_digest(network),
        "test_accuracy": None,
    }
    run.place.files.put_record(model_record(declared.name), record)
    return record


def _trained(run: Run, declared: TrainedModel, key: str, report: Report) -> dict[str, Any]:
    """Train a network, from where a killed training had come; keep its weights and then its record."""
    if declared.name in run.layers.headless:
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected="a network that classifies, to be trained on labels",
            found="one that gives features",
            remedy="Declare weights, pretrained or untrained = true; or give the architecture a classifier.",
        )
    recipe, splits = declared.train, run.data.splits
    run.fix_threads()
    network = run.networks.built(declared).to(run.device)
    report(0, recipe.epochs)
    state = TrainingState(run.place.files, f"{declared.name}-{key}")
    training = train_classifier(
        network,
        splits[TRAIN],
        recipe,
        kept=state,
        on_epoch=lambda epoch: report(epoch, recipe.epochs),
    )
    network.cpu()
    reached = accuracy(network, splits[TEST])
    if reached < recipe.min_accuracy:
        raise ConfigError(
            where=f"model '{declared.name}'",
            expected=f"a test accuracy of at least {recipe.min_accuracy}",
            found=f"{reached:.4f} after {recipe.epochs} epochs",
            remedy="Train longer, take another seed, or lower train.min_accuracy.",
        )
    name = weights_name(declared.name, key)
    run.place.files.write(name, ".safetensors", weights_bytes(network))
    record = {
        "declaration": key,
        "weights": name,
        "weights_digest": weights_digest(network),
        "test_accuracy": reached,
        "final_loss": training.final_loss,
        "curve": training.curve,
    }
    run.place.files.put_record(model_record(declared.name), record)
    state.forget()
    return record
